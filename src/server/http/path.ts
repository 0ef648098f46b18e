/**
 * Paths as Go's ServeMux, which etcd's ports are made of, takes them: one that is written with dots
 * or doubled slashes is redirected to the plain way to write it, and escapes do not matter.
 */

import type { HttpRequest, HttpResponse } from '../../transport/index.js';

/** The path without empty, `.` and `..` segments; a slash at its end stays. */
export function cleanPath(path: string): string {
  const clean: string[] = [];
  for (const segment of path.split('/')) {
    if (segment === '..') clean.pop();
    else if (segment !== '' && segment !== '.') clean.push(segment);
  }
  if (clean.length === 0) return '/';
  // Only a slash stands for a directory: `a/.` is `a`.
  return `/${clean.join('/')}${path.endsWith('/') ? '/' : ''}`;
}

/** The path without escapes; undefined if one of them is none. An escaped slash matches nothing. */
export function decodedPath(path: string): string | undefined {
  if (!path.includes('%')) return path;
  try {
    return path
      .split('/')
      .map((segment) => decodeURIComponent(segment).replaceAll('/', '%2F'))
      .join('/');
  } catch {
    return undefined;
  }
}

/** Undefined if the path is plain; else where the client is to ask instead. */
export function redirectToClean(request: HttpRequest): HttpResponse | undefined {
  const clean = cleanPath(request.path);
  if (clean === request.path || request.method === 'CONNECT') return undefined;
  return redirectTo(clean, request);
}

/** Tells to ask the same of another path. */
export function redirectTo(path: string, request: HttpRequest): HttpResponse {
  const query = request.query.size === 0 ? '' : `?${request.query}`;
  const location = encodePath(path) + query;
  if (request.method !== 'GET' && request.method !== 'HEAD') {
    return { status: 307, headers: { location }, body: '' };
  }
  const link = location.replaceAll('&', '&amp;').replaceAll("'", '&#39;');
  return {
    status: 307,
    headers: { 'content-type': 'text/html; charset=utf-8', location },
    body: `<a href="${link}">Temporary Redirect</a>.\n\n`,
  };
}

/** Whatever could end a header, or an attribute of the page that shows it, is escaped. */
function encodePath(path: string): string {
  return path.replace(/[^A-Za-z0-9\-_.~$&+,/:;=@%]/gu, (char) => encodeURIComponent(char));
}
