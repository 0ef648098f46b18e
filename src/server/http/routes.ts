/**
 * The plain HTTP side of a client or metrics port: health, version, metrics, CORS and the Host
 * check, answered as etcd does (C-9). Anything under /v3/ goes to the gateway.
 */

import type { Profiler } from '../../common/index.js';
import type { HttpHandler, HttpRequest, HttpResponse } from '../../transport/index.js';
import {
  answerChecks,
  answerHealth,
  type HealthObserver,
  type HealthSource,
  isCheck,
} from './health.js';
import { decodedPath, redirectTo, redirectToClean } from './path.js';
import { answerProfiles } from './profiles.js';

/** What GET /version tells; undefined as long as it is not known. */
export interface Versions {
  /** The etcd version whose behaviour this server has. */
  readonly server: string;
  readonly cluster: string | undefined;
  readonly storage: string | undefined;
}

export interface HttpRoutesOptions {
  readonly health: HealthSource;
  readonly observer: HealthObserver;
  versions(): Versions;
  /** The text of /metrics and its content type. */
  metrics(): Promise<{ readonly body: string; readonly contentType: string }>;
  /** Whether a downgrade is on, as of now; rejects if that can't be known. */
  downgradeEnabled(): Promise<boolean>;
  /** In hex. */
  readonly clusterId: string;
  /** Plain facts for /debug/vars; no secrets. */
  debugVars(): Readonly<Record<string, unknown>>;
  /** Origins for browsers; '*' is all. */
  readonly cors: readonly string[];
  /** Host names accepted without TLS; '*' is all. */
  readonly hostWhitelist: readonly string[];
  /** For /debug/pprof/; left out: there is none. */
  readonly profiler?: Profiler | undefined;
  /** Answers /v3/; left out: there is none. */
  readonly gateway?: HttpHandler | undefined;
  /** Certificates say who their clients are: those of the gateway might think theirs does, too. */
  readonly namesByCertificate?: () => boolean;
}

/** The port that a handler serves. */
export interface HttpPort {
  /** TLS proves who we are, so the Host header need not be checked (CVE-2018-5702 class). */
  readonly secure: boolean;
  /** A metrics port serves only metrics and health. */
  readonly metricsOnly: boolean;
}

/** The handler for one kind of port. */
export function createHttpHandler(options: HttpRoutesOptions, port: HttpPort): HttpHandler {
  const allOrigins = options.cors.includes('*');
  const origins = new Set(options.cors);
  const allHosts = port.secure || options.hostWhitelist.includes('*');
  const hosts = new Set(options.hostWhitelist);
  // As etcd's, a port for metrics belongs to no browser and checks no Host.
  if (port.metricsOnly) return (request) => route(request, options, port);
  return async (request) => {
    const host = hostName(request.headers.host);
    if (!allHosts && !hosts.has(host)) return misdirected(host);
    if (isMistaken(request, options)) return text(400, mistaken);
    const origin = request.headers.origin;
    const allowed = allOrigins ? '*' : origin !== undefined && origins.has(origin) ? origin : '';
    const cors = allowed === '' ? undefined : corsHeaders(allowed);
    const response =
      request.method === 'OPTIONS'
        ? { status: 200, headers: {}, body: '' }
        : await route(request, options, port);
    return cors === undefined
      ? response
      : { ...response, headers: { ...response.headers, ...cors } };
  };
}

async function route(
  request: HttpRequest,
  options: HttpRoutesOptions,
  port: HttpPort,
): Promise<HttpResponse> {
  const redirect = redirectToClean(request);
  if (redirect !== undefined) return redirect;
  const path = decodedPath(request.path);
  if (path === undefined) return text(400, 'Bad Request\n');
  // Prometheus's handler, which etcd uses, does not look at the method.
  if (path === '/metrics') return metrics(options);
  if (path === '/health') return onlyGet(request, () => health(request, options));
  const probe = /^\/(livez|readyz)(?:\/([a-z_]+))?$/.exec(path);
  if (probe !== null) {
    const type = probe[1] === 'livez' ? 'livez' : 'readyz';
    const only = probe[2];
    if (only !== undefined && !isCheck(type, only)) return notFound();
    return onlyGet(request, () => checks(type, only, request, options));
  }
  if (port.metricsOnly) return notFound();
  if (path === '/version') return onlyGet(request, async () => version(options.versions()));
  if (path === '/downgrade/enabled') return onlyGet(request, () => downgrade(options));
  if (path === '/debug/vars') return onlyGet(request, async () => debugVars(options.debugVars()));
  if (options.profiler !== undefined) {
    const { profiler } = options;
    if (path === '/debug/pprof' || path.startsWith('/debug/pprof/')) {
      return onlyGet(request, () => answerProfiles(profiler, request, path));
    }
  }
  if (options.gateway === undefined) return notFound();
  if (isGatewayPath(path)) return options.gateway(request);
  return path === '/v3' ? redirectTo('/v3/', request) : notFound();
}

function isGatewayPath(path: string): boolean {
  return /^\/v3(beta)?\//.test(path);
}

/** It counts on the name in its certificate, which means nothing here (CVE-2018-16886). */
function isMistaken({ path, peer }: HttpRequest, options: HttpRoutesOptions): boolean {
  if (options.gateway === undefined || !options.namesByCertificate?.()) return false;
  const { certificateVerified, commonName } = peer.identity;
  return certificateVerified && commonName !== '' && isGatewayPath(decodedPath(path) ?? '');
}

const mistaken =
  'CommonName of client sending a request against gateway will be ignored and not used as expected\n';

async function onlyGet(
  request: HttpRequest,
  answer: () => Promise<HttpResponse>,
): Promise<HttpResponse> {
  if (request.method === 'GET') return answer();
  return text(405, 'Method Not Allowed\n', { allow: 'GET' });
}

async function metrics(options: HttpRoutesOptions): Promise<HttpResponse> {
  const { body, contentType } = await options.metrics();
  return { status: 200, headers: { 'content-type': contentType }, body };
}

async function health(request: HttpRequest, options: HttpRoutesOptions): Promise<HttpResponse> {
  const { healthy, body } = await answerHealth(options.health, request.query);
  options.observer.health(healthy);
  // Go's http.Error, which etcd answers failures with, adds the newline; it names no other type.
  if (!healthy) return text(503, `${body}\n`);
  return { status: 200, headers: { 'content-type': plainText }, body };
}

async function checks(
  type: 'livez' | 'readyz',
  only: string | undefined,
  request: HttpRequest,
  options: HttpRoutesOptions,
): Promise<HttpResponse> {
  const { health: source, observer } = options;
  const answer = await answerChecks(type, only, source, request.query, observer);
  return text(answer.healthy ? 200 : 503, answer.body);
}

/** Clients parse these as dotted numbers, except before a cluster version is agreed on. */
function version(versions: Versions): HttpResponse {
  const body = {
    etcdserver: versions.server,
    etcdcluster: versions.cluster ?? 'not_decided',
    storage: versions.storage ?? 'unknown',
  };
  const headers = { 'content-type': 'application/json' };
  return { status: 200, headers, body: JSON.stringify(body) };
}

/** As etcd answers on its peer port, which here speaks a protocol of its own. */
async function downgrade(options: HttpRoutesOptions): Promise<HttpResponse> {
  const named = { 'x-etcd-cluster-id': options.clusterId };
  try {
    const body = String(await options.downgradeEnabled());
    return { status: 200, headers: { 'content-type': 'text/plain', ...named }, body };
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    return text(500, `failed linearized read: ${why}\n`, named);
  }
}

/** In the lines that Go's expvar makes. */
function debugVars(vars: Readonly<Record<string, unknown>>): HttpResponse {
  const lines = Object.entries(vars).map(
    ([name, value]) => `${JSON.stringify(name)}: ${JSON.stringify(value)}`,
  );
  const headers = { 'content-type': 'application/json; charset=utf-8' };
  return { status: 200, headers, body: `{\n${lines.join(',\n')}\n}\n` };
}

const plainText = 'text/plain; charset=utf-8';

function text(status: number, body: string, headers?: Record<string, string>): HttpResponse {
  return {
    status,
    headers: {
      'content-type': plainText,
      'x-content-type-options': 'nosniff',
      ...headers,
    },
    body,
  };
}

function notFound(): HttpResponse {
  return text(404, '404 page not found\n');
}

/** A web page must not reach us under a name of its own making (DNS rebinding). */
function misdirected(host: string): HttpResponse {
  const shown = JSON.stringify(host.slice(0, 200));
  return text(
    421,
    `The Host header ${shown} is not one that this server answers to.\n` +
      `Use https, or start it with --host-whitelist including ${shown}.\n`,
  );
}

function hostName(header: string | undefined): string {
  const value = header ?? '';
  const bracketed = /^\[([^\]]*)\]/.exec(value);
  return bracketed?.[1] ?? value.replace(/:\d*$/, '');
}

function corsHeaders(origin: string): Record<string, string> {
  return {
    'access-control-allow-methods': 'POST, GET, OPTIONS, PUT, DELETE',
    'access-control-allow-origin': origin,
    'access-control-allow-headers': 'accept, content-type, authorization',
  };
}
