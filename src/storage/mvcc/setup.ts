/** What a store is opened with. */

import type { Clock, KvStore, Logger } from '../../common/index.js';
import type { KvGenerations } from '../level/index.js';
import type { MvccStoreOptions } from './types.js';

export interface MvccSetup {
  readonly kv: KvStore;
  readonly clock: Clock;
  readonly options: MvccStoreOptions;
  readonly logger: Logger;
  /** The data directory, for messages. */
  readonly path?: string;
  /** A background write failed or damage was found: the store is dead, the process must end. */
  readonly onFatal?: (error: Error) => void;
  /** The saved index is used if there are at least so many records, and saved from so many keys. */
  readonly checkpointKeysMin?: number;
  /** A journal of the index that is shorter is not replaced by a checkpoint. */
  readonly journalBytesMin?: number;
  /** Where states from other members are staged; without it none can be installed. */
  readonly generations?: KvGenerations;
}
