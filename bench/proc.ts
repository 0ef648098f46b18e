/** What Linux says: /proc/<pid>/stat, /proc/<pid>/status and /proc/stat. */

import { readFileSync } from 'node:fs';

/** Clock ticks a second in /proc; 100 on every Linux that Node runs on. */
const ticksPerSecond = 100;
const userTicksField = 11;
const systemTicksField = 12;

/** User + system time of all threads, dead ones too; 0 for a process that is gone. */
export function cpuSeconds(pid: number): number {
  const stat = read(`/proc/${pid}/stat`);
  // The program's name, in parentheses, may hold anything: count fields after it.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  const ticks = Number(fields[userTicksField] ?? 0) + Number(fields[systemTicksField] ?? 0);
  return ticks / ticksPerSecond;
}

/** Time that all cores of the machine were not idle, since it booted. */
export function machineCpuSeconds(): number {
  // cpu user nice system idle iowait irq softirq steal guest guest_nice
  const fields = (read('/proc/stat').split('\n')[0] ?? '').split(/\s+/).slice(1).map(Number);
  const [user = 0, nice = 0, system = 0, , , irq = 0, softirq = 0] = fields;
  return (user + nice + system + irq + softirq) / ticksPerSecond;
}

export interface MemoryMb {
  readonly resident: number;
  readonly peak: number;
}

/** Resident set now and at its highest (VmRSS, VmHWM). */
export function memoryMb(pid: number): MemoryMb {
  const status = read(`/proc/${pid}/status`);
  const field = (name: string): number =>
    Number(new RegExp(`^${name}:\\s+(\\d+) kB`, 'm').exec(status)?.[1] ?? 0) / 1024;
  return { resident: field('VmRSS'), peak: field('VmHWM') };
}

function read(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}
