/** A CycloneDX document, as far as it is read here. */
export interface Bill {
  readonly metadata: { readonly component: Readonly<Record<string, unknown>> };
  readonly components: readonly Component[];
  readonly dependencies: readonly { readonly ref: string; readonly dependsOn?: readonly string[] }[];
}

interface Component {
  readonly "bom-ref": string;
  readonly name: string;
  readonly version: string;
}

/** A lock file of npm, as far as it is read here. */
export interface Lock {
  readonly packages: Readonly<Record<string, { readonly version?: string; readonly dev?: boolean }>>;
}

/**
 * The bill of one image, from that of the whole repository: what is only for development is not in it. npm's own way to leave that
 * out (`--omit=dev`) also leaves out whatever is a peer of something else, such as the database driver.
 */
export function billOf(service: string, whole: Bill, { packages }: Lock): Bill {
  const inImage = new Set(
    Object.entries(packages)
      .filter(([, { dev }]) => dev !== true)
      .map(
        ([path, { version }]) =>
          `${path.slice(path.lastIndexOf("node_modules/") + "node_modules/".length)}@${version}`,
      ),
  );
  const components = whole.components.filter(({ name, version }) => inImage.has(`${name}@${version}`));
  const kept = new Set(components.map((component) => component["bom-ref"]));
  const root = String(whole.metadata.component["bom-ref"]);
  const dependencies = whole.dependencies
    .filter(({ ref }) => ref === root || kept.has(ref))
    .map(({ ref, dependsOn = [] }) => ({ ref, dependsOn: dependsOn.filter((one) => kept.has(one)) }));
  const component = { ...whole.metadata.component, name: `souk/${service}` };
  return { ...whole, metadata: { ...whole.metadata, component }, components, dependencies };
}
