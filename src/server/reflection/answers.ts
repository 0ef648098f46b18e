/** What reflection answers: encoded once for each file, so a request is looked up and no more. */

import { GrpcCode } from '../../common/index.js';
import {
  encodeReflectionAnswer,
  type ProtoFile,
  protoFiles,
  type ReflectionQuestion,
} from '../../proto/index.js';

export class ReflectionAnswers {
  readonly #services: Buffer;
  /** A file and all that it imports, by its name and by the full name of what it declares. */
  readonly #byFile = new Map<string, Buffer>();
  readonly #bySymbol = new Map<string, Buffer>();
  /** Full names. */
  readonly #messages = new Set(protoFiles.flatMap(({ messages }) => messages));

  /** `services`: full names of those that are served. */
  constructor(services: readonly string[]) {
    this.#services = encodeReflectionAnswer({ type: 'services', names: services });
    const filesByName = new Map(protoFiles.map((file) => [file.name, file]));
    for (const file of protoFiles) {
      const files = [...withImports(file, filesByName)].map(({ base64 }) => {
        return Buffer.from(base64, 'base64');
      });
      const answer = encodeReflectionAnswer({ type: 'files', files });
      this.#byFile.set(file.name, answer);
      for (const symbol of file.symbols) this.#bySymbol.set(symbol, answer);
    }
  }

  /** The answer's part of the response; shared, so not to be changed. */
  of(question: ReflectionQuestion): Buffer {
    switch (question.type) {
      case 'services':
        return this.#services;
      case 'file':
        return this.#byFile.get(question.name) ?? notFound(`file not found: ${question.name}`);
      case 'symbol':
        return this.#bySymbol.get(question.name) ?? notFound(`symbol not found: ${question.name}`);
      // No file of ours has extensions.
      case 'extension':
        return notFound(`extension not found: ${question.message} ${question.number}`);
      case 'extensionNumbers': {
        const { message } = question;
        if (!this.#messages.has(message)) return notFound(`type not found: ${message}`);
        return encodeReflectionAnswer({ type: 'extensionNumbers', message });
      }
      case 'unknown':
        return encodeReflectionAnswer({
          type: 'error',
          code: GrpcCode.UNIMPLEMENTED,
          text: 'this request is not known here',
        });
    }
  }
}

function notFound(text: string): Buffer {
  return encodeReflectionAnswer({ type: 'error', code: GrpcCode.NOT_FOUND, text });
}

/** The file first, then each of those that it needs, once. */
function withImports(file: ProtoFile, byName: ReadonlyMap<string, ProtoFile>): Set<ProtoFile> {
  const found = new Set([file]);
  // What is added on the way is visited, too.
  for (const { dependencies } of found) {
    for (const name of dependencies) {
      const dependency = byName.get(name);
      if (dependency !== undefined) found.add(dependency);
    }
  }
  return found;
}
