/** The pages beside the text, in the order in which somebody may need them. */

import { existsSync } from 'node:fs';

/** Pages that come and go with what they are about. */
function ifThere(item) {
  const file = new URL(`../../../docs${item.link}.md`, import.meta.url);
  return existsSync(file) ? [item] : [];
}

const page = (text, link) => ({ text, link });

export const sidebar = [
  {
    text: 'Begin',
    items: [
      page('Five minutes', '/start'),
      page('Concepts', '/concepts'),
      page('kvorum and others', '/comparison'),
      page('Platforms and support', '/platforms'),
    ],
  },
  {
    text: 'Operate',
    items: [
      ...ifThere(page('Install', '/install')),
      page('A day with kvorum', '/session'),
      page('The command line', '/command-line'),
      page('Contexts, hints, questions', '/contexts'),
      page('Operations', '/operations'),
      page('Back up and restore', '/backup'),
      page('Members', '/members'),
      page('Looking at data, and moving it', '/data-tools'),
      page('Rehearse the worst', '/rehearsal'),
      page('When it is slow', '/slow'),
      page('Watch a member', '/observe'),
      page('From etcd, and back', '/migration'),
      page('Configuration', '/configuration'),
      page('Users and roles', '/auth'),
      page('Metrics', '/metrics'),
      page('Limits', '/limits'),
      page('Errors', '/errors'),
      page('Debugging', '/debugging'),
      page('JSON over HTTP', '/gateway'),
    ],
  },
  {
    text: 'The SDK',
    items: [
      page('Guide', '/client/'),
      page('Cookbook', '/cookbook'),
      page('Connection', '/client/connection'),
      page('Keys and values', '/client/kv'),
      page('Transactions', '/client/transactions'),
      page('Watching', '/client/watch'),
      page('Leases', '/client/leases'),
      page('Errors', '/client/errors'),
      page('Coordination', '/client/coordination'),
      page('Discovery', '/client/discovery'),
      page('Configuration of nodes', '/client/config'),
      page('Who a client is', '/client/auth'),
      page('Maintenance', '/client/maintenance'),
      page('Beside etcd3', '/client/etcd3'),
      ...ifThere(page('Mistakes that are refused', '/client/mistakes')),
      ...ifThere(page('Migration notes', '/client/migration')),
    ],
  },
  {
    text: 'What holds',
    collapsed: true,
    items: [
      page('Guarantees', '/guarantees'),
      page('Benchmarks', '/benchmarks'),
      page('Scaling', '/scaling'),
      page('Simulation', '/simulation'),
      page('What a client observes', '/contract'),
      page('Who may do what', '/auth-matrix'),
      page('Lessons of others', '/lessons'),
    ],
  },
  {
    text: 'Inside',
    collapsed: true,
    items: [
      page('Architecture', '/architecture'),
      page('The path of a write', '/data-path'),
      page('On disk', '/on-disk-format'),
      page('Rules of Raft', '/raft-rules'),
      page('Where Raft differs', '/raft-divergence'),
      page('Glossary', '/glossary'),
      page('How to add things', '/how-to'),
      page('Dependencies', '/dependencies'),
      page('Releasing', '/releasing'),
    ],
  },
];
