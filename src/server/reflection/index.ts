/** What a member serves, told to clients without .proto files (--enable-grpc-reflection). */
export { reflectionFeature } from './feature.js';
