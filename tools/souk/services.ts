// One question to several services.

import { type Flag, type Input, optional, WrongUse } from "./command.ts";
import type { Desk } from "./desk.ts";
import { Refusal } from "./refusal.ts";

/** What a service is called by. */
const NAME = /^[a-z][a-z-]{0,30}$/;

/** The flag by which one service is asked instead of all. */
export const serviceFlag: Readonly<Record<"service", Flag>> = {
  service: { type: "string", value: "NAME", help: "only this service; all where unset" },
};

/** The service that was named; undefined for all. */
export function readService(input: Input): string | undefined {
  const name = optional(input, "service");
  return name === undefined ? undefined : toServiceName(name);
}

/** Reads a service's name; undefined for `all`. */
export function toServiceName(name: string): string | undefined {
  if (name === "all") return undefined;
  if (NAME.test(name)) return name;
  throw new WrongUse(`a service is named in small letters, like orders, not "${name}"`);
}

/** A service's answer. */
export type FromService<T> = { service: string; answer: T };

/** What several services answered. */
export type FromServices<T> = { answers: readonly FromService<T>[]; refusals: readonly string[] };

/** Asks one service or all side by side. One that refuses does not keep the others from answering. */
export async function askServices<T>(
  desk: Desk,
  service: string | undefined,
  ask: (service: string) => Promise<T>,
): Promise<FromServices<T>> {
  const names = service === undefined ? desk.services : [service];
  const settled = await Promise.allSettled(names.map(ask));
  const answers: FromService<T>[] = [];
  const refusals: string[] = [];
  for (const [index, outcome] of settled.entries()) {
    const name = names[index] ?? "";
    if (outcome.status === "fulfilled") answers.push({ service: name, answer: outcome.value });
    else refusals.push(`${name}: ${(outcome.reason as Error).message}`);
  }
  return { answers, refusals };
}

/** Finds what only one service has: asks the one named, or all. Rejects where nobody has it, or where somebody could not say. */
export async function findAtServices<T>(
  desk: Desk,
  service: string | undefined,
  ask: (service: string) => Promise<T>,
): Promise<FromService<T>> {
  const names = service === undefined ? desk.services : [service];
  const settled = await Promise.allSettled(names.map(ask));
  for (const [index, outcome] of settled.entries()) {
    if (outcome.status === "fulfilled") return { service: names[index] ?? "", answer: outcome.value };
  }
  const errors = settled.flatMap((outcome) =>
    outcome.status === "rejected" ? [outcome.reason as Error] : [],
  );
  throw errors.find((error) => !isNotFound(error)) ?? errors[0] ?? new Error("there is no service to ask");
}

const isNotFound = (error: Error) => error instanceof Refusal && error.status === 404;
