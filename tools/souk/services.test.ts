import { expect, test } from "vitest";
import { Refusal } from "./refusal.ts";
import { askServices, findAtServices } from "./services.ts";

const desk = {
  services: ["catalog", "orders"],
  ask: () => Promise.reject(new Error("nobody calls")),
};
const notFound = new Refusal(404, { reason: "SAGA_NOT_FOUND", detail: "No." });
const away = new Refusal(503, { reason: "DEPENDENCY_UNAVAILABLE", detail: "Away." });

test("all services are asked, and one that refuses keeps nobody from answering", async () => {
  const ask = async (name: string) => (name === "orders" ? "yes" : Promise.reject(away));
  expect(await askServices(desk, undefined, ask)).toEqual({
    answers: [{ service: "orders", answer: "yes" }],
    refusals: ["catalog: DEPENDENCY_UNAVAILABLE: Away."],
  });
});

test("the one named is asked alone", async () => {
  const asked: string[] = [];
  await askServices(desk, "shipping", async (name) => asked.push(name));
  expect(asked).toEqual(["shipping"]);
});

test("what one of them has is found, also while others are away", async () => {
  const ask = async (name: string) => (name === "orders" ? "it" : Promise.reject(away));
  expect(await findAtServices(desk, undefined, ask)).toEqual({ service: "orders", answer: "it" });
});

test("what nobody has is not found; whether somebody away has it is not known", async () => {
  await expect(findAtServices(desk, undefined, () => Promise.reject(notFound))).rejects.toBe(notFound);
  const ask = (name: string) => Promise.reject(name === "orders" ? away : notFound);
  await expect(findAtServices(desk, undefined, ask)).rejects.toBe(away);
});
