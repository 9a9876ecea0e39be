import type { DescMethod } from "@bufbuild/protobuf";

/** What a program calls. In a cluster nothing else answers it: policies are made from this (`npm run gen:policies`). */
export interface DeclaredCalls {
  /** Methods of other services. */
  readonly rpcs?: readonly DescMethod[];
  /** Stand-ins of the outside world, by the name of their folder in sandboxes/. */
  readonly sandboxes?: readonly string[];
}
