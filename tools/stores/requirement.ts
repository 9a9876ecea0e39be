/** A program Souk needs, and where it can be had. */
export type Requirement = {
  /** The command: `nats-server`. */
  command: string;
  /** The oldest version that will do: major and minor. */
  oldest: readonly [major: number, minor: number];
  debianPackage: string;
  homebrewFormula: string;
  dockerImage: string;
};

/** Where a program was found: as a file, or as an image to run with Docker. */
export type Program = { path: string; version: string } | { dockerImage: string };
