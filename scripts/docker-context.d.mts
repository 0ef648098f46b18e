/** Type of docker-context.mjs, for its test. */

export declare function makeDockerContext(root: string): string;
