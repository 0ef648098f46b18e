/**
 * Backups in S3, or in what speaks its language (MinIO, Ceph, R2, ...). An object is there when its
 * PUT, or the completion of its upload in parts, has been answered; before that nobody sees it.
 * Addresses have the bucket in the path, which all of them understand.
 */

import { assert, StorageError, s3PartBytes } from '../../common/index.js';
import { missingObject } from '../directory-target.js';
import { parseObjectName } from '../names.js';
import type { BackupTarget, S3Settings, TargetPorts } from '../target.js';
import { type S3Answer, type S3Http, s3Http } from './s3-http.js';
import { textOf, textsOf } from './xml.js';

const regionByDefault = 'us-east-1';
/** S3's own. */
const partsMax = 10_000;

/** `place` is `s3://bucket/prefix`. Throws StorageError if something is missing. */
export function openS3Target(place: string, asked: S3Settings, ports: TargetPorts): BackupTarget {
  const { clock, env } = ports;
  const [, bucket = '', prefix = ''] = /^s3:\/\/([^/]+)\/?(.*?)\/*$/.exec(place) ?? [];
  const region = asked.region || env.AWS_REGION || env.AWS_DEFAULT_REGION || regionByDefault;
  const endpoint =
    asked.endpoint ||
    env.AWS_ENDPOINT_URL_S3 ||
    env.AWS_ENDPOINT_URL ||
    `https://s3.${region}.amazonaws.com`;
  const accessKeyId = env.AWS_ACCESS_KEY_ID ?? '';
  const secretAccessKey = env.AWS_SECRET_ACCESS_KEY ?? '';
  const sessionToken = env.AWS_SESSION_TOKEN ?? '';
  if (!/^[a-z0-9][a-z0-9.-]{1,62}$/.test(bucket) || !/^[\w!.*'()/-]*$/.test(prefix)) {
    throw unusable(place, 'the bucket or the prefix has characters that it can not have');
  }
  if (!/^https?:\/\/[^/\s]+/.test(endpoint)) {
    throw unusable(place, `the endpoint ${endpoint} is no http:// or https:// URL`);
  }
  if (accessKeyId === '' || secretAccessKey === '') {
    throw unusable(place, 'AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY are not set');
  }
  const http = s3Http({ accessKeyId, secretAccessKey, sessionToken, region }, clock);
  return new S3Target(http, `${endpoint.replace(/\/+$/, '')}/${bucket}`, prefix, place);
}

function unusable(place: string, what: string): StorageError {
  return new StorageError(`S3 can't be used: ${what}`, {
    path: place,
    remedy: 'See "In S3" in docs/backup.md.',
  });
}

/** See the head of this file; exported for tests. */
export class S3Target implements BackupTarget {
  readonly description: string;
  readonly #http: S3Http;
  /** With the bucket. */
  readonly #base: string;
  /** '' or with a slash at its end. */
  readonly #prefix: string;

  constructor(http: S3Http, base: string, prefix: string, description: string) {
    this.#http = http;
    this.#base = base;
    this.#prefix = prefix === '' ? '' : `${prefix}/`;
    this.description = description;
  }

  async list(): Promise<readonly string[]> {
    const found: string[] = [];
    for (let token = ''; ; ) {
      const query: Record<string, string> = { 'list-type': '2', prefix: this.#prefix };
      if (token !== '') query['continuation-token'] = token;
      const answer = await this.#ask('GET', this.#url('', query), 'list', [200]);
      const xml = await answer.text();
      for (const key of textsOf(xml, 'Key')) {
        const name = key.slice(this.#prefix.length);
        if (key.startsWith(this.#prefix) && parseObjectName(name) !== undefined) found.push(name);
      }
      token = textOf(xml, 'NextContinuationToken');
      if (textOf(xml, 'IsTruncated') !== 'true' || token === '') return found.sort();
    }
  }

  async *read(name: string): AsyncIterable<Buffer> {
    const answer = await this.#ask('GET', this.#url(name), 'read', [200, 404]);
    if (answer.status === 404) {
      await answer.text();
      throw missingObject(name);
    }
    yield* answer.pieces();
  }

  async write(
    name: string,
    chunks: AsyncIterable<Uint8Array>,
    signal?: AbortSignal,
  ): Promise<void> {
    assert(parseObjectName(name) !== undefined, 'an object of a backup has a name of ours');
    const parts = inParts(chunks)[Symbol.asyncIterator]();
    const first = await parts.next();
    const head = first.done === true ? Buffer.alloc(0) : first.value;
    const second = await parts.next();
    signal?.throwIfAborted();
    if (second.done === true) {
      const answer = await this.#ask('PUT', this.#url(name), 'write', [200], head, signal);
      await answer.text();
      return;
    }
    await this.#upload(name, [head, second.value], parts, signal);
  }

  async remove(name: string): Promise<void> {
    assert(parseObjectName(name) !== undefined, 'nothing else is removed');
    await (await this.#ask('DELETE', this.#url(name), 'remove', [200, 204, 404])).text();
  }

  /** Uploads in parts that nobody has completed take room, and no listing shows them. */
  async sweep(isLeftover: (name: string) => boolean): Promise<readonly string[]> {
    const url = this.#url('', { uploads: '', prefix: this.#prefix });
    const answer = await this.#ask('GET', url, 'list uploads', [200, 404, 501]);
    const xml = await answer.text();
    const removed: string[] = [];
    // Those that can't list them do not keep them either, or have a rule for it.
    if (answer.status !== 200) return removed;
    for (const upload of textsOf(xml, 'Upload')) {
      const name = textOf(upload, 'Key').slice(this.#prefix.length);
      if (parseObjectName(name) === undefined || !isLeftover(name)) continue;
      await this.#abort(name, textOf(upload, 'UploadId'));
      removed.push(name);
    }
    return removed;
  }

  async #upload(
    name: string,
    begin: readonly Buffer[],
    more: AsyncIterator<Buffer>,
    signal: AbortSignal | undefined,
  ): Promise<void> {
    const url = this.#url(name, { uploads: '' });
    const started = await this.#ask('POST', url, 'write', [200], undefined, signal);
    const uploadId = textOf(await started.text(), 'UploadId');
    if (uploadId === '') throw this.#failure('write', name, 'the upload was not begun');
    try {
      const tags: string[] = [];
      const put = async (part: Buffer): Promise<void> => {
        signal?.throwIfAborted();
        if (tags.length >= partsMax) throw this.#failure('write', name, 'it is too large');
        const query = { partNumber: String(tags.length + 1), uploadId };
        const at = this.#url(name, query);
        const answer = await this.#ask('PUT', at, 'write', [200], part, signal);
        await answer.text();
        tags.push(answer.header('etag'));
      };
      for (const part of begin) await put(part);
      for (let next = await more.next(); next.done !== true; next = await more.next()) {
        await put(next.value);
      }
      await this.#complete(name, uploadId, tags, signal);
    } catch (error) {
      await this.#abort(name, uploadId).catch(() => {});
      throw error;
    } finally {
      await more.return?.();
    }
  }

  async #complete(
    name: string,
    uploadId: string,
    tags: readonly string[],
    signal: AbortSignal | undefined,
  ): Promise<void> {
    const parts = tags.map((tag, i) => {
      return `<Part><PartNumber>${i + 1}</PartNumber><ETag>${tag}</ETag></Part>`;
    });
    const xml = `<CompleteMultipartUpload>${parts.join('')}</CompleteMultipartUpload>`;
    const url = this.#url(name, { uploadId });
    const answer = await this.#ask('POST', url, 'write', [200], Buffer.from(xml), signal);
    // It is answered before it is done, and then says in the body what went wrong.
    const text = await answer.text();
    if (text.includes('<Error>')) throw this.#failure('write', name, textOf(text, 'Message'));
  }

  async #abort(name: string, uploadId: string): Promise<void> {
    const url = this.#url(name, { uploadId });
    await (await this.#ask('DELETE', url, 'remove', [200, 204, 404])).text();
  }

  /** Rejects with StorageError unless the status is one of `wanted`. */
  async #ask(
    method: 'GET' | 'PUT' | 'POST' | 'DELETE',
    url: string,
    what: string,
    wanted: readonly number[],
    body?: Uint8Array,
    signal?: AbortSignal,
  ): Promise<S3Answer> {
    const request = { method, url, ...(body === undefined ? {} : { body }) };
    let answer: S3Answer;
    try {
      answer = await this.#http(request, signal);
    } catch (error) {
      signal?.throwIfAborted();
      throw this.#failure(what, '', error instanceof Error ? error.message : String(error));
    }
    if (wanted.includes(answer.status)) return answer;
    const text = await answer.text();
    const code = textOf(text, 'Code');
    const message = textOf(text, 'Message');
    const said = [`status ${answer.status}`, code, message].filter((part) => part !== '');
    throw this.#failure(what, '', said.join(', '));
  }

  #failure(what: string, name: string, why: string): StorageError {
    const path = name === '' ? this.description : `${this.description}/${name}`;
    return new StorageError(`S3 can't ${what}: ${why}`, {
      path,
      remedy: 'Look at the endpoint, the region, the bucket and the rights of the access key.',
    });
  }

  #url(name: string, query: Readonly<Record<string, string>> = {}): string {
    const path = name === '' ? '' : `/${this.#prefix}${name}`;
    const text = new URLSearchParams(query).toString();
    return `${this.#base}${path}${text === '' ? '' : `?${text}`}`;
  }
}

/** Parts of one size, and a last one. Nothing at all is no part. */
async function* inParts(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<Buffer> {
  let gathered: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of chunks) {
    gathered.push(chunk);
    bytes += chunk.length;
    if (bytes < s3PartBytes) continue;
    yield Buffer.concat(gathered);
    gathered = [];
    bytes = 0;
  }
  if (bytes > 0) yield Buffer.concat(gathered);
}
