/** Types of api-report.mjs, for its test. */

export const reportDir: string;
export function apiReports(root: string): Promise<Map<string, string>>;
export function writeApiReports(root: string): Promise<Map<string, string>>;
