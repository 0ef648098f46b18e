{{/* Names and labels. */}}
{{- define "kvorum.name" -}}
{{- if contains "kvorum" .Release.Name }}{{ .Release.Name | trunc 50 | trimSuffix "-" }}
{{- else }}{{ printf "%s-kvorum" .Release.Name | trunc 50 | trimSuffix "-" }}{{ end }}
{{- end }}

{{- define "kvorum.selector" -}}
app.kubernetes.io/name: kvorum
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "kvorum.labels" -}}
{{ include "kvorum.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version }}
{{- end }}

{{- define "kvorum.image" -}}
{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end }}

{{/* What comes behind the name of a pod in its address. */}}
{{- define "kvorum.domain" -}}
{{ include "kvorum.name" . }}-peers.{{ .Release.Namespace }}.svc.{{ .Values.clusterDomain }}
{{- end }}

{{- define "kvorum.clientScheme" -}}
{{ if .Values.tls.client.existingSecret }}https{{ else }}http{{ end }}
{{- end }}

{{- define "kvorum.peerScheme" -}}
{{ if .Values.tls.peer.existingSecret }}https{{ else }}http{{ end }}
{{- end }}

{{- define "kvorum.initialCluster" -}}
{{- $name := include "kvorum.name" . }}
{{- $members := list }}
{{- range $i := until (int .Values.replicas) }}
{{- $members = append $members (printf "%s-%d=%s://%s-%d.%s:2380" $name $i (include "kvorum.peerScheme" $) $name $i (include "kvorum.domain" $)) }}
{{- end }}
{{- join "," $members }}
{{- end }}

{{- define "kvorum.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities:
  drop:
    - ALL
{{- end }}

{{- define "kvorum.podSecurity" -}}
runAsNonRoot: true
runAsUser: 10001
runAsGroup: 10001
fsGroup: 10001
fsGroupChangePolicy: OnRootMismatch
seccompProfile:
  type: RuntimeDefault
{{- end }}
