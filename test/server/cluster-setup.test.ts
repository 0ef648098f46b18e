import { describe, expect, it } from 'vitest';
import { type Logger, silentLogger } from '../../src/common/index.js';
import { kvorumVersion } from '../../src/common/kvorum-version.js';
import { decodeNodeMetadata, encodeNodeMetadata } from '../../src/server/bootstrap/metadata.js';
import { setUpMember } from '../../src/server/bootstrap/setup.js';
import {
  type ClusterAnswer,
  decodeClusterAnswer,
  encodeClusterAnswer,
} from '../../src/server/membership/cluster-answer.js';
import { foundingIdentity, oldIncarnationOf } from '../../src/server/membership/identity.js';
import type { Member } from '../../src/server/membership/index.js';
import { defaultConfig } from '../../src/server/options/config.js';
import { UsageError } from '../../src/server/options/usage-error.js';
import { MemoryNetwork, SimClock, SimRandom } from '../../src/sim/index.js';

const urlOf = (name: string) => `http://10.0.0.${name.slice(1)}:2380`;
const names = ['n1', 'n2', 'n3'];
const identity = foundingIdentity(
  new Map(names.map((name) => [name, [urlOf(name)]])),
  'etcd-cluster',
);
const idOf = (name: string) => identity.members.find((one) => one.name === name)?.id ?? 0n;

const memberOf = (name: string, more: Partial<Member> = {}): Member => ({
  id: idOf(name),
  name,
  peerUrls: [urlOf(name)],
  clientUrls: ['http://c:1'],
  isLearner: false,
  incarnation: 1n,
  ...more,
});

const answerOf = (
  members: readonly Member[],
  more: Partial<ClusterAnswer> = {},
): ClusterAnswer => ({
  clusterId: identity.clusterId,
  memberId: idOf('n2'),
  members,
  removed: [],
  version: kvorumVersion,
  etcdVersion: '3.7.3',
  ...more,
});

const clock = new SimClock();
const network = new MemoryNetwork(clock, new SimRandom(2));

/** Starts n1 with an empty directory; the others answer, or can't be reached. */
function start(
  state: 'new' | 'existing',
  answers: Readonly<Record<string, ClusterAnswer>>,
  ...flags: string[]
) {
  const cluster = names.map((name) => `${name}=${urlOf(name)}`).join(',');
  const asked: string[] = [];
  const config = defaultConfig(
    '--name=n1',
    `--initial-cluster=${cluster}`,
    `--initial-advertise-peer-urls=${urlOf('n1')}`,
    `--initial-cluster-state=${state}`,
    ...flags,
  );
  const metadata = setUpMember({
    config,
    random: new SimRandom(1),
    clock,
    resolve: (host) => network.resolve(host),
    logger: silentLogger as Logger,
    peers: {
      callUrl: async (url, method) => {
        asked.push(url);
        expect(method).toBe('cluster');
        const answer = answers[url];
        if (answer === undefined) throw new Error('connection refused');
        return encodeClusterAnswer(answer);
      },
    },
  });
  return { metadata, asked };
}

describe('founding a cluster', () => {
  it('goes on while nobody is there yet', async () => {
    const { metadata, asked } = start('new', {});
    expect(await metadata).toMatchObject({
      clusterId: identity.clusterId,
      memberId: idOf('n1'),
      joining: false,
      founders: identity.members,
    });
    expect((await metadata).incarnation).not.toBe(0n);
    expect(asked).toEqual([urlOf('n2'), urlOf('n3')]);
  });

  it('goes on if the others have only just been founded themselves', async () => {
    const members = names.map((name) => memberOf(name, { clientUrls: [], incarnation: 0n }));
    const { metadata } = start('new', { [urlOf('n2')]: answerOf(members) });
    expect(await metadata).toMatchObject({ memberId: idOf('n1') });
  });

  it('is refused to a member that others know, for its disk was lost (L-32)', async () => {
    const text = `member ${idOf('n1').toString(16)} has already been bootstrapped`;
    for (const known of [{ clientUrls: [] }, { incarnation: 0n }]) {
      const members = [memberOf('n1', known), memberOf('n2'), memberOf('n3')];
      const { metadata } = start('new', { [urlOf('n3')]: answerOf(members) });
      await expect(metadata).rejects.toThrow(text);
    }
  });

  it('is refused to a member that was removed', async () => {
    const answer = answerOf([memberOf('n2')], { removed: [idOf('n1')] });
    const { metadata } = start('new', { [urlOf('n2')]: answer });
    await expect(metadata).rejects.toThrow('permanently removed from the cluster');
  });

  it('takes the name and the address of this member for the same, as etcd does', async () => {
    network.name('n1.example', '10.0.0.1');
    const { metadata } = start('new', {}, '--initial-advertise-peer-urls=http://n1.example:2380');
    expect(await metadata).toMatchObject({ memberId: idOf('n1') });
    network.name('n9.example', '10.0.0.9', 'fd00::9');
    const other = start('new', {}, '--initial-advertise-peer-urls=http://n9.example:2380');
    await expect(other.metadata).rejects.toThrow(UsageError);
    const text = '--initial-advertise-peer-urls has http://n9.example:2380 but';
    await expect(other.metadata).rejects.toThrow(text);
  });

  it('does not mind members of another cluster', async () => {
    const answer = answerOf([memberOf('n1')], { clusterId: 5n });
    const { metadata } = start('new', { [urlOf('n2')]: answer });
    expect(await metadata).toMatchObject({ clusterId: identity.clusterId });
  });
});

describe('joining a cluster', () => {
  const added = memberOf('n1', { id: 99n, name: '', clientUrls: [], incarnation: 0n });
  const others = [memberOf('n2'), memberOf('n3')];

  it('finds itself by its peer URLs', async () => {
    const answer = answerOf([...others, { ...added, isLearner: true }], { clusterId: 7n });
    const { metadata, asked } = start('existing', { [urlOf('n3')]: answer });
    expect(await metadata).toMatchObject({ clusterId: 7n, memberId: 99n, joining: true });
    expect((await metadata).founders).toEqual([
      { id: idOf('n2'), name: 'n2', peerUrls: [urlOf('n2')], isLearner: false },
      { id: idOf('n3'), name: 'n3', peerUrls: [urlOf('n3')], isLearner: false },
      { id: 99n, name: 'n1', peerUrls: [urlOf('n1')], isLearner: true },
    ]);
    expect(asked).toEqual([urlOf('n2'), urlOf('n3')]);
  });

  it('finds itself and the others by what their names resolve to', async () => {
    network.name('n1.example', '10.0.0.1');
    network.name('n2.example', 'fd00::2', '10.0.0.2');
    const named = (member: Member, url: string) => ({ ...member, peerUrls: [url] });
    const answer = answerOf([
      named(memberOf('n2'), 'http://N2.example.:2380'),
      memberOf('n3'),
      named(added, 'http://n1.example:2380'),
    ]);
    const { metadata } = start('existing', { [urlOf('n3')]: answer });
    expect(await metadata).toMatchObject({ memberId: 99n, joining: true });
  });

  const refused = async (answers: Record<string, ClusterAnswer>): Promise<string> => {
    const error = await start('existing', answers).metadata.catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(UsageError);
    expect((error as UsageError).exitCode).toBe(1);
    return (error as UsageError).message;
  };

  it('fails with the texts of etcd', async () => {
    expect(await refused({})).toBe(
      'cannot fetch cluster info from peer urls: ' +
        'could not retrieve cluster information from the given URLs',
    );
    const two = answerOf(others);
    expect(await refused({ [urlOf('n2')]: two })).toMatch(
      /^error validating peerURLs \{ClusterID:[0-9a-f]+ Members:\[\{ID:.* RemovedMemberIDs:\[\]\}: member count is unequal$/,
    );
    const elsewhere = { ...added, peerUrls: ['http://10.0.0.9:2380'] };
    expect(await refused({ [urlOf('n2')]: answerOf([...others, elsewhere]) })).toContain(
      'PeerURLs: no match found for existing member (63, [http://10.0.0.9:2380])',
    );
    const version = '9.0.0';
    expect(await refused({ [urlOf('n2')]: answerOf([...others, added], { version }) })).toBe(
      'incompatible with current running cluster',
    );
  });

  it('is refused to a member that has run before (L-32)', async () => {
    for (const known of [{ clientUrls: ['http://c:2'] }, { incarnation: 5n }]) {
      const answer = answerOf([...others, { ...added, ...known }]);
      expect(await refused({ [urlOf('n2')]: answer })).toContain(
        'member 63 has already been bootstrapped',
      );
    }
  });

  it('does not compare the URLs that are advertised', async () => {
    const answer = answerOf([...others, added]);
    const flag = '--initial-advertise-peer-urls=http://elsewhere:1';
    const { metadata } = start('existing', { [urlOf('n2')]: answer }, flag);
    expect(await metadata).toMatchObject({ memberId: 99n });
  });
});

describe('what a data directory knows of itself', () => {
  it('is read back as it was written', () => {
    const metadata = {
      clusterId: 2n ** 64n - 1n,
      memberId: 2n ** 63n,
      incarnation: 2n ** 63n + 1n,
      joining: true,
      founders: [{ id: 1n, name: 'a', peerUrls: ['http://a:1'], isLearner: true }],
    };
    expect(decodeNodeMetadata(encodeNodeMetadata(metadata))).toEqual(metadata);
  });

  it('has an incarnation even if a version without them has written it', () => {
    // Written by version 0.1.0: format, cluster, member, founders.
    const hex =
      '84a6666f726d617401a7636c7573746572a161a66d656d626572a162a8666f756e64657273' +
      '9183a26964a162a46e616d65a16ea87065657255726c7391aa687474703a2f2f613a31';
    expect(decodeNodeMetadata(Buffer.from(hex, 'hex'))).toEqual({
      clusterId: 10n,
      memberId: 11n,
      incarnation: oldIncarnationOf(10n, 11n),
      joining: false,
      founders: [{ id: 11n, name: 'n', peerUrls: ['http://a:1'], isLearner: false }],
    });
    expect(oldIncarnationOf(10n, 11n)).not.toBe(oldIncarnationOf(10n, 12n));
  });

  it('travels in the answer to the question who is there', () => {
    const answer = answerOf(
      names.map((name) => memberOf(name)),
      { removed: [2n ** 64n - 1n] },
    );
    expect(decodeClusterAnswer(encodeClusterAnswer(answer))).toEqual(answer);
  });
});
