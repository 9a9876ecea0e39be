import type { SagaDefinition } from "./definition.ts";

/**
 * All versions that a replica serves, as definitions of their own; an earlier one differs in its steps.
 * @throws Error for a definition that could not be driven: a version given twice, a step's name given twice (keys and results
 *   go by it), two pivots, or no steps.
 */
export function everyVersion(definitions: readonly SagaDefinition[]): readonly SagaDefinition[] {
  const versions = definitions.flatMap((newest) => [
    newest,
    ...(newest.earlier ?? []).map(({ version, steps }) => ({ ...newest, version, steps })),
  ]);
  const known = new Set<string>();
  for (const definition of versions) check(definition, known);
  return versions;
}

function check({ name, version, steps }: SagaDefinition, known: Set<string>) {
  const title = `saga ${name} of version ${version}`;
  if (known.has(title)) throw new Error(`there are two definitions of ${title}`);
  known.add(title);
  if (steps.length === 0) throw new Error(`${title} has no steps`);
  if (new Set(steps.map((step) => step.name)).size < steps.length)
    throw new Error(`${title} has two steps of one name`);
  if (steps.filter((step) => step.pivot).length > 1) throw new Error(`${title} is decided twice`);
}

/**
 * The version by which a canary begins sagas: the last that the release before it serves too, since that one drives them. New steps
 * become active when the canary is promoted.
 */
export function lastReleased(definition: SagaDefinition): SagaDefinition {
  const [last] = (definition.earlier ?? []).toSorted((a, b) => b.version - a.version);
  return last ? { ...definition, version: last.version, steps: last.steps } : definition;
}
