/**
 * Every bound in the system that is not a flag, with its unit in the name and its reason beside it.
 * docs/limits.md is the same list for people.
 */

/** etcd's --max-request-bytes default: the largest client request that may enter the log. */
export const requestBytesMaxDefault = 1_572_864;
/** What gRPC accepts above that for framing, as etcd: the server's receive limit is the sum. */
export const grpcOverheadBytes = 512 * 1024;
/** etcd's --max-txn-ops default. */
export const txnOpsMaxDefault = 128;
/**
 * Messages inside of one transaction (operations, their requests, compares), each counted as often
 * as it is nested: what decoding and checking one costs. 20,000 operations side by side.
 */
export const txnMessagesMax = 65_536;
/** etcd's largest lease TTL. */
export const leaseTtlSecondsMax = 9_000_000_000;
/** etcd's default backend quota for --quota-backend-bytes=0. */
export const quotaBytesDefault = 2 * 1024 * 1024 * 1024;
/** What etcd adds to key and value when it asks whether a put fits the quota. */
export const putOverheadBytes = 256;
/** What etcd counts for a lease. */
export const leaseOverheadBytes = 64;
/** WAL segments are preallocated at this size, so that fdatasync has no metadata to write. */
export const walSegmentBytes = 64 * 1024 * 1024;
/** No WAL record is longer: a length above it is damage, not a reason to allocate. */
export const walRecordBytesMax = 64 * 1024 * 1024;
/** The longest synchronous piece of work; longer jobs give way to the event loop in between. */
export const sliceMsMax = 5;
/**
 * Calls, watchers, renewals that are ended or begun in one turn when very many are at once, because
 * their connection is lost, say: a few milliseconds at worst.
 */
export const turnShareMax = 1000;
/**
 * Bytes of applied entries that a member keeps in memory for others that are behind; those further
 * back get a snapshot instead. Bounds what one slow or silent follower costs.
 */
export const logKeepBytesMax = 256 * 1024 * 1024;
/** Records waiting for LevelDB above which proposals wait: the disk is slower than the clients. */
export const unflushedBytesMax = 256 * 1024 * 1024;
/** Values are kept in so much memory at least, on the smallest machine. */
export const valueCacheBytesMin = 16 * 1024 * 1024;
/** Unapplied entries above which new proposals get `too many requests`, as in etcd. */
export const commitApplyGapMax = 5000;
/**
 * Proposals whose calls wait at one member: for a leader, for its disk, for a majority. Bounds what
 * clients can pile up there within the request timeout; some ten times what a busy member has.
 */
export const proposalsWaitingMax = 50_000;
export const proposalsWaitingBytesMax = 128 * 1024 * 1024;
/**
 * How much further each of these bounds goes for what is urgent: the end of leases, alarms, changes
 * of members. It is short, and some of it lessens the load.
 */
export const urgentShare = 0.1;
/** The same for linearizable reads, which wait for a word of the leader; bytes of requests. */
export const readsWaitingMax = 50_000;
export const readsWaitingBytesMax = 64 * 1024 * 1024;
/**
 * Calls of the Lock and Election services that wait or observe at one member, and the bytes of
 * their requests. One of them costs some kilobytes, and a watch only if it is next in its queue.
 */
export const recipesWaitingMax = 50_000;
export const recipesWaitingBytesMax = 64 * 1024 * 1024;
/** A key that its call could not take back for want of a leader is tried so often, so far apart. */
export const recipeWithdrawTriesMax = 10;
export const recipeWithdrawPauseMs = 500;
/** Events that Observe hands on in one turn: each is encoded again. */
export const observeEventsPerTurnMax = 200;
/** Snapshot RPC chunk size, as etcd. */
export const snapshotChunkBytes = 32 * 1024;
/** Images of Maintenance.Snapshot on disk: each is as large as the store. */
export const snapshotImagesMax = 2;
/** A Snapshot call of which nothing is taken ends; one that finds no room waits as long. */
export const snapshotIdleMs = 30_000;
/** RangeStream: keys in the first chunk, as etcd. */
export const rangeStreamFirstChunkKeys = 10;
/** Distinct revisions in one catch-up WatchResponse at the most, as etcd. */
export const watchCatchUpRevisionsMax = 1000;
/** A stream with more unsent bytes than this gets no more live events; it catches up later. */
export const watchBacklogBytesMax = 4 * 1024 * 1024;
/** Unsent bytes of all watch streams together above which every slow one is held back at once. */
export const watchBacklogBytesTotalMax = 256 * 1024 * 1024;
/** A response to a live watcher ends at a revision before this. */
export const watchMessageBytesTarget = 1024 * 1024;
/**
 * A response to a watcher that is behind, in one message: what gRPC clients receive by default,
 * all but etcd's own in Go.
 */
export const watchMessageBytesMax = 4 * 1024 * 1024;
/** The same to a client that takes fragments, or is etcd's in Go: that has no limit. */
export const watchResponseBytesMax = 32 * 1024 * 1024;
/** Events of the past that wait for the rest of their response, all watchers together. */
export const watchHeldBytesMax = 128 * 1024 * 1024;
/** The same in events times watchers: 8 MB of references. */
export const watchHeldEventsMax = 1024 * 1024;
/** Bytes of one page of history for watchers that are behind. */
export const watchCatchUpBytesMax = 512 * 1024;
/** Events times watchers that may wait for the end of a batch of applies: some 20 MB. */
export const watchPendingEventsMax = 262_144;
/** etcd's --watch-progress-notify-interval default. */
export const watchProgressIntervalMs = 10 * 60 * 1000;
/** Lease scan period of the primary lessor, and its revocations per scan, as etcd. */
export const leaseScanMs = 500;
export const leaseRevokesPerScanMax = 500;
/**
 * What the puts of one entry may copy from the values that they keep (ignore_value): a request of a
 * megabyte could else write a hundred gigabytes.
 */
export const entryCopiedBytesMax = 256 * 1024 * 1024;
/** Changes of one entry above which watchers get them from history, which gives way. */
export const watchLiveChangesMax = 1000;
/** Keys that one synchronous slice of a range, compaction, restore or hash handles at the most. */
export const mvccSliceKeysMax = 2000;
/** The files of the KvStore are measured so long after a write: a few hundred calls of stat. */
export const sizeMeasureIntervalMs = 5000;
/** Bytes of records that are rewritten in one go when their space is given back. */
export const reclaimPieceBytes = 64 * 1024 * 1024;
/** Compactions whose hash is kept, as etcd. */
export const compactionHashesMax = 10;
/** The value log grows by chunks of this size; a larger record gets one of its own. */
export const valueLogChunkBytes = 1024 * 1024;
/**
 * The recent history that stays in memory, with what was replaced and deleted: for watchers that
 * are a little behind, and for what the flush has still to write. At most half of the cache.
 */
export const valueLogRecentBytesMax = 32 * 1024 * 1024;
/** Records that change places in one turn when memory is tidied up: a microsecond each. */
export const valueLogMovesPerTurnMax = 2000;
/** Records in one LevelDB batch: about 1.2 us each on the JavaScript thread (measured). */
export const flushBatchRecordsMax = 1000;
/**
 * The same of what is flushed, where a batch is gathered over several turns: each costs an fsync.
 */
export const flushUnitRecordsMax = 4000;
/** Bytes after which a batch ends too, so that large values do not make a huge one. */
export const flushBatchBytesMax = 1024 * 1024;
/** An entry of a bbolt file above this is damage, not a reason to allocate. */
export const bboltElementBytesMax = 256 * 1024 * 1024;
/** Cold records fetched with one `getMany`. */
export const coldPageRecords = 256;
/** And so many bytes, unless one record is larger: copying them is a millisecond of the loop. */
export const coldPageBytes = 4 * 1024 * 1024;
/**
 * Reads from the KvStore that are under way at once: each takes one of the four threads of Node
 * that also make the log durable and write to the KvStore, for as long as the disk takes.
 */
export const coldReadsAtOnceMax = 2;
/**
 * Tables of LevelDB that are open for reads of their own, where the data are larger than memory: a
 * file descriptor each. Eight gigabytes of data are a thousand.
 */
export const tablesOpenMax = 1000;
/** Of their indexes, a hundredth of the data, so much is kept; and at most this share of memory. */
export const tableIndexBytesMax = 256 * 1024 * 1024;
export const tableIndexMemoryShare = 16;
/** Reads that found nothing in the tables that are known, after which they are listed anew. */
export const tableListIntervalReads = 64;
/** What a record in a list costs beside its bytes: the buffer around them, and places in lists. */
export const listedRecordBytes = 160;
/** Up to so many cold records of one read are kept in memory afterwards; larger reads are scans. */
export const warmRecordsMax = 64;
/** The flush asks for an fsync at least this often, so that the WAL can be released. */
export const flushSyncMs = 1000;
/**
 * Bytes of one page when the whole store is read (restore, hash, catch-up): with records of 300
 * bytes some 800, which is 2 ms of making buffers and about as much of work with them.
 */
export const scanPageBytes = 256 * 1024;
/**
 * An expired lease whose revocation was proposed and is still there after this is proposed again.
 */
export const leaseRevokeRetryMs = 3000;
/**
 * Leases that one scan looks at: renewed ones surface too, and 100k of them at once would stall.
 */
export const leaseScanLooksMax = 16_384;
/**
 * After an election at most so many leases are let expire a second: etcd's 3/4 of what it revokes.
 */
export const leaseExpiriesPerSecondMax = 750;
/**
 * Users of one lease with many keys whose right to all of them is remembered: each is looked at
 * again with every key that is attached.
 */
export const leaseVerdictsMax = 8;
/** Leases with more time left are checkpointed this often, and so many in one entry, as etcd. */
export const leaseCheckpointIntervalMs = 5 * 60 * 1000;
export const leaseCheckpointBatchMax = 1000;
/**
 * Requests of one keepalive stream that may wait for their answers; then it is not read further.
 */
export const leaseKeepAlivesInFlightMax = 1024;
/** Renewals that a member asks of its leader in one question: 8 kB, and a fraction of a slice. */
export const leaseRenewBatchMax = 1000;
/**
 * The saved key index is used from this size on; smaller ones are read back in no time, and with
 * them every record is checked.
 */
export const checkpointKeysMinDefault = 10_000;
/**
 * The journal of the key index is replaced by a checkpoint when it has grown to this, and to this
 * share of the last checkpoint: 32 MiB are some 650,000 changes, which a start replays in less than
 * a second; the share bounds what checkpoints add to all that is written (docs/adr/0003).
 */
export const checkpointJournalBytesMin = 32 * 1024 * 1024;
export const checkpointJournalShare = 0.75;
/** A message between members: any entry that fits into the log, and its head. */
export const peerMessageBytesMax = walRecordBytesMax + 64 * 1024;
/**
 * What may wait on each lane of a link to another member; above that a message is dropped, and Raft
 * sends it again. Entries: more than Raft has in flight to one follower, or a follower that is far
 * behind gets everything twice (measured). The rest is short: that is seconds of it.
 */
export const peerEntriesQueueBytesMax = 16 * 1024 * 1024;
export const peerControlQueueBytesMax = 4 * 1024 * 1024;
/** A lost link is dialled again after this, doubled each time; a restart takes about as long. */
export const peerBackoffMsMin = 50;
/** A member that comes back is found within about an election timeout. */
export const peerBackoffMsMax = 1500;
/** A member that refuses us seldom changes its mind. */
export const peerRefusedRetryMs = 5000;
/** Members not known here that are linked: more than can be added while a member is away. */
export const peerStrangersMax = 16;
/** Members not known here whose incarnation is remembered; they cost nothing else. */
export const peerIncarnationsSeenMax = 100;
/** Peer URLs that MemberAdd and MemberUpdate take: all members keep and dial them. */
export const memberUrlsMax = 64;
/** URLs that a member may say it is reached at: more than anybody has. */
export const peerUrlsMax = 16;
/** Calls that may wait for a link to come up. */
export const peerCallsWaitingMax = 1000;
/** Period of the pings that measure the round trip. */
export const peerPingIntervalMs = 1000;
/** Snapshots that a member hands out at the same time: each holds a view of the store. */
export const peerFeedsMax = 4;
/** A snapshot of which nothing was taken for so long is closed. */
export const peerFeedIdleMs = 30_000;
/** A state goes to another member in pieces of about this size: a few milliseconds of work each. */
export const snapshotPieceBytes = 1024 * 1024;
/** Reads that run while an installed state takes over may take so long to end on the old one. */
export const installGraceMs = 5000;
/** Users and addresses whose requests are counted (--rate-limit): some 150 bytes each. */
export const rateLimitKeysMax = 20_000;
/** A message of a stream waits so long for its turn; then the stream ends. */
export const rateLimitDelayMsMax = 10_000;
/** A certificate, key or revocation list: far above any that is in use. */
export const tlsFileBytesMax = 16 * 1024 * 1024;
/** `--io-threads`: more would be more than the one thread that they work for can use. */
export const ioThreadsMax = 64;
/** Each of the two rings of a thread with sockets; what one can't take holds its sockets up. */
export const ioRingBytes = 2 * 1024 * 1024;
/** The two sides tell each other what has left, or was handled, in portions of at least this. */
export const ioTellBytesMin = 32 * 1024;
/** What may have come for a stream of such a thread and not be handled: above, it is not read. */
export const ioStreamWindowBytes = 256 * 1024;
/**
 * What may be written to such a stream before it is full: more than the socket's own mark (256 KiB)
 * and one portion that is not told of yet, or a wait for room might never end.
 */
export const ioStreamHighWaterBytes = 512 * 1024;

/**
 * However many handshakes there are, the files of a port are looked at only this often: what they
 * hold counts for handshakes that begin so much later.
 */
export const tlsFilesLookMs = 1000;
/** Handshakes wait so long for that look, then go on with what was there: a disk may hang. */
export const tlsFilesWaitMsMax = 1000;
/**
 * TLS handshakes under way at one listener, some 50 kB each; connections above that wait, with
 * nothing read of them. While one waits, a handshake that takes longer than `tlsHandshakeYieldMs`
 * makes room.
 */
export const tlsHandshakesMax = 1000;
export const tlsHandshakeYieldMs = 1000;
/** Handshakes of one listener that begin in one turn: each takes 1 to 2 ms of the one thread. */
export const tlsHandshakesPerTurnMax = 4;
/** Connections of one listener that wait for a handshake: a few kB each. */
export const tlsHandshakesWaitingMax = 10_000;
/**
 * Of the name of a user or role, in UTF-8: etcd keeps them as keys of its file, which can't be
 * longer.
 */
export const authNameBytesMax = 32_768;
/**
 * Simple tokens that a member remembers: some 200 bytes each. With more, the one that was not used
 * for longest is forgotten, and its client authenticates again.
 */
export const authTokensMax = 100_000;
/** Signed tokens that a member knows by their text; others are verified at each call. */
export const signedTokensCachedMax = 10_000;
/** Signatures that are checked at once, on the threads that also serve files: 50 us each. */
export const tokenChecksAtOnceMax = 2;
/**
 * Calls that wait until the entry of their token is applied here, or its signature is checked;
 * those above are refused.
 */
export const tokensWaitingMax = 10_000;
/** A token of an entry so far ahead of what is applied here is none: nobody waits for it. */
export const tokenIndexAheadMax = 1_000_000;
/**
 * Passwords that are hashed at once: Node has four threads for them and for all files, and each
 * hash keeps one busy for some 50 ms (--bcrypt-cost).
 */
export const passwordsAtOnceMax = 2;
/** Calls that wait for a password to be hashed; those above are refused. */
export const passwordsWaitingMax = 1000;
/** Of these, calls from one address: they take turns with those of others. */
export const passwordsWaitingPerAddressMax = 250;
/** --enable-pprof: the longest CPU profile; one is taken at a time. */
export const cpuProfileSecondsMax = 300;
/** --enable-grpc-reflection: a request is a name, and is repeated in its answer. */
export const reflectionRequestBytesMax = 4096;
/** Objects and arrays of JSON inside of each other, as Go's encoding/json. */
export const jsonDepthMax = 10_000;
/** The body of a plain HTTP request comes within this, unless it is one of a stream. */
export const httpBodyMsMax = 60_000;
/** The text of a gateway request, in sizes of the largest message: its base64 is 4/3, and some. */
export const gatewayTextFactor = 2;
/** Bodies of gateway requests that are being gathered, of all clients together. */
export const gatewayBodiesBytesMax = 64 * 1024 * 1024;
/** Answers of the gateway that clients have not taken, above which what makes large ones waits. */
export const gatewayBacklogBytesMax = 256 * 1024 * 1024;
/** The same of one stream: then it is told to wait. */
export const gatewayStreamBacklogBytes = 256 * 1024;
/** A client of the gateway that takes nothing for so long while others wait is cut off. */
export const gatewayStalledMs = 30_000;
/** Permissions of a user that are looked through at once; more of them in slices. */
export const grantsAtOnceMax = 2000;
/**
 * Exercising a scratch member before a server serves: long enough that all hot code has run, short
 * beside the start itself.
 */
export const warmUpMs = 80;
/** Lines of --audit-log that wait for the disk: a second of puts at full speed. */
export const auditBacklogBytesMax = 16 * 1024 * 1024;
/** It is written so often, or when so much has gathered; a write that failed is tried again. */
export const auditFlushMs = 100;
export const auditWriteBytes = 256 * 1024;
export const auditRetryMs = 1000;
/** A member that stops waits so long for it. */
export const auditCloseMs = 1000;
/** Keys of one call that a line has, as many as --max-txn-ops by default; and the bytes of each. */
export const auditKeysMax = 128;
export const auditKeyBytesMax = 1024;
/** Rules of --audit-rules: each is looked at for each key. */
export const auditRulesMax = 1000;
/** Spans that wait for the collector of traces, some 300 bytes each; then they are dropped. */
export const spansWaitingMax = 8192;
/** They leave so often, so many at once; one that fails is followed by a rest. */
export const spanExportMs = 1000;
export const spansPerExportMax = 512;
export const spanExportRestMs = 5000;
export const spanExportTimeoutMs = 10_000;
/** A chunk of a backup's file: what is compressed, encrypted and checked at once. */
export const backupChunkBytes = 1024 * 1024;
/** A smaller chunk is compressed at once: some 2 ms, and no way to a thread and back. */
export const backupDeflateHereBytes = 256 * 1024;
/** Changes that the scheduled backup gathers before it writes a file of them. */
export const backupGatherBytes = 8 * 1024 * 1024;
/** Those that may wait in memory while a full snapshot is on its way, or the target silent. */
export const backupWaitingBytesMax = 64 * 1024 * 1024;
/** What a change costs in memory beside its bytes. */
export const backupChangeOverheadBytes = 200;
/** Of history read at once; a revision is whole, however large. */
export const backupPageBytes = 1024 * 1024;
export const backupPageRevisions = 10_000;
/** Leases that the command asks for at once. */
export const backupLeasesAtOnce = 32;
/** How often the history is read on, and the resolution of --to-time. */
export const backupFollowMs = 1000;
/** Files of changes behind one full snapshot; then comes the next one. A restore opens them all. */
export const backupChangesFilesMax = 5000;
/** What another writer has left behind is removed when it is so old: it may be at work still. */
export const backupLeftoverMs = 24 * 3_600_000;
/** A failed scheduled backup is tried again after pauses that grow from the first to the second. */
export const backupRetryMinMs = 1000;
export const backupRetryMaxMs = 300_000;
/**
 * The TTL of a lease that is known from a restored key alone: it had ended before it was noted, so
 * whoever held it has a minute to keep it alive, and then it goes, as it did before.
 */
export const restoredLeaseTtlSeconds = 60;
/** A part of an upload to S3: 10,000 of them make 80 GB. Two may be in memory. */
export const s3PartBytes = 8 * 1024 * 1024;
/** A request to S3 that gets nowhere for so long has failed. */
export const s3RequestMs = 60_000;
