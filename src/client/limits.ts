/** Bounds of the client, units in the names, with the reason beside each. */

/** Deadline of a call that names none: above a server's own request timeout of 7 s. */
export const callTimeoutMsDefault = 10_000;
/** One connect attempt: a SYN is repeated after 1 s, so two packets may be lost. */
export const connectTimeoutMsDefault = 3_000;
/** What an endpoint speaks that could not be connected to: it says so at once, or not at all. */
export const probeTimeoutMs = 1_000;
/** Pause before an endpoint that failed is tried again; doubles up to the maximum. */
export const reconnectDelayMinMs = 50;
export const reconnectDelayMaxMs = 2_000;
/** Attempts of reads: with their pauses some four seconds, a change of leader or a restart. */
export const retryAttemptsDefault = 10;
export const retryDelayMinMsDefault = 25;
export const retryDelayMaxMsDefault = 2_000;
/** Refusals of one request for its token, each answered with a new one, until that is no good. */
export const tokenRefusalsMax = 5;
/** The same because users or roles were changed meanwhile: with its pauses some four seconds. */
export const oldRevisionsMax = 10;
/** Pings: etcd servers allow one each 5 s. */
export const keepaliveIntervalMsDefault = 10_000;
export const keepaliveTimeoutMsDefault = 3_000;
/** An endpoint whose server could not serve (no leader, timed out) is avoided for so long. */
export const suspectMs = 2_000;
/** HTTP/2 window of a stream: one page of a large range without a round trip in between. */
export const streamWindowBytes = 1024 * 1024;
/** Keys a page. */
export const pageKeysDefault = 500;
/** Events of one watcher that wait for its reader; then the watch pauses. */
export const watchBufferEventsDefault = 10_000;
/** A server that has not answered a watch create in this time is left for another. */
export const watchCreateTimeoutMs = 10_000;
/** `close` of a watch waits this long for the server to confirm it. */
export const watchCancelTimeoutMs = 2_000;
/** Pauses between attempts to open a stream again. */
export const streamDelayMinMs = 50;
export const streamDelayMaxMs = 2_000;
/** Runs of a transaction function before CONFLICT. */
export const stmAttemptsDefault = 50;
export const modifyAttemptsDefault = 20;
/** Messages of a server stream that wait for their reader; then the stream is paused. */
export const streamBufferMessagesMax = 16;
/** Renewals: part of the TTL between them, and after which there is a warning. */
export const keepAliveFraction = 1 / 3;
export const leaseWarnFraction = 0.6;
/** A lease counts as lost this part of the TTL early, at most so long. */
export const leaseMarginFraction = 0.1;
export const leaseMarginMsMax = 1_000;
/** Operations in one transaction of a mirror. */
export const mirrorTxnOpsDefault = 100;
/** Connections to endpoints that calls name and the client does not have; the oldest goes. */
export const namedEndpointsMax = 16;
/** TTL of a session: an election of the cluster and a few lost renewals fit into it. */
export const sessionTtlSecondsDefault = 15;
/** Pauses between attempts at what is idempotent and failed for a reason that passes. */
export const persistDelayMsMin = 25;
export const persistDelayMsMax = 1_000;
/** Above a server's request timeout of 7 s: what it did not do by then it never does. */
export const lateRequestMsMax = 10_000;
/** Before the watch of a held key that was refused is tried again. */
export const rewatchDelayMs = 1_000;
/** Entries looked at in one go: who comes second to the first has others to try. */
export const queueLookKeys = 8;
/** Between attempts of a registration to come back. */
export const comeBackDelayMsMin = 100;
export const comeBackDelayMsMax = 5_000;
/** Keys in one change of a configuration: below every server's limit of operations. */
export const configEditsMax = 100;
/** Changes in a history. */
export const historyVersionsDefault = 100;
