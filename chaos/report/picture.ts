// A run as one picture: what clients got, second by second, above the faults they got it under.

import { type FaultKind, faultKinds } from "../faults/fault.ts";
import type { Incident } from "../faults/incident.ts";

/** What the picture shows. */
export interface PictureOptions {
  readonly durationMs: number;
  readonly incidents: readonly Incident[];
  readonly outcomes: readonly { readonly atMs: number; readonly outcome: "ok" | "fail" | "unknown" }[];
}

const width = 1_100;
const left = 130;
const chartHeight = 140;
const rowHeight = 16;
const gap = 30;
const columns = 240;
const colors = { ok: "#3f9b5f", fail: "#8fa3b5", unknown: "#d9534f" } as const;
const labels = {
  ok: "accepted or read",
  fail: "refused for a reason",
  unknown: "no answer, asked again",
} as const;

/** Draws the picture as SVG. */
export function drawPicture(options: PictureOptions): string {
  const kinds = faultKinds.filter((kind) => options.incidents.some(({ fault }) => fault.kind === kind));
  const height = chartHeight + gap + kinds.length * rowHeight + 50;
  const parts = [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" font-family="sans-serif" font-size="11">`,
    "<title>What clients got, above the faults they got it under</title>",
    `<rect width="${width}" height="${height}" fill="#ffffff"/>`,
    ...drawOutcomes(options),
    ...kinds.flatMap((kind, row) => drawRow(options, kind, chartHeight + gap + row * rowHeight)),
    ...drawAxis(options.durationMs, height),
    "</svg>",
  ];
  return `${parts.join("\n")}\n`;
}

const scale = (durationMs: number) => (atMs: number) =>
  Math.round(left + (Math.min(atMs, durationMs) / durationMs) * (width - left - 20));

function drawOutcomes({ outcomes, durationMs }: PictureOptions): string[] {
  const binMs = Math.max(1_000, durationMs / columns);
  const bins = new Map<number, Record<keyof typeof colors, number>>();
  for (const { atMs, outcome } of outcomes) {
    const bin = Math.floor(Math.min(atMs, durationMs - 1) / binMs);
    const counts = bins.get(bin) ?? { ok: 0, fail: 0, unknown: 0 };
    counts[outcome] += 1;
    bins.set(bin, counts);
  }
  const most = Math.max(1, ...[...bins.values()].map(({ ok, fail, unknown }) => ok + fail + unknown));
  const x = scale(durationMs);
  const bars = [...bins].flatMap(([bin, counts]) => {
    let y = chartHeight;
    return (["ok", "fail", "unknown"] as const).map((outcome) => {
      const barHeight = (counts[outcome] / most) * (chartHeight - 20);
      y -= barHeight;
      const from = x(bin * binMs);
      const barWidth = Math.max(1, x((bin + 1) * binMs) - from - 0.5);
      return `<rect x="${from}" y="${y.toFixed(1)}" width="${barWidth}" height="${barHeight.toFixed(1)}" fill="${colors[outcome]}"/>`;
    });
  });
  const legend = (["ok", "fail", "unknown"] as const).map((outcome, index) => {
    const at = left + index * 190;
    return `<rect x="${at}" y="4" width="10" height="10" fill="${colors[outcome]}"/><text x="${at + 15}" y="13">${labels[outcome]}</text>`;
  });
  const perSecond = ((most * 1_000) / binMs).toFixed(0);
  return [...legend, `<text x="${left - 8}" y="30" text-anchor="end">${perSecond}/s</text>`, ...bars];
}

function drawRow({ incidents, durationMs }: PictureOptions, kind: FaultKind, y: number): string[] {
  const x = scale(durationMs);
  const marks = incidents
    .filter(({ fault }) => fault.kind === kind)
    .map(({ fromMs, toMs }) => {
      const markWidth = Math.max(2, x(toMs) - x(fromMs));
      return `<rect x="${x(fromMs)}" y="${y + 2}" width="${markWidth}" height="${rowHeight - 5}" fill="#b0413e" fill-opacity="0.55"/>`;
    });
  return [`<text x="${left - 8}" y="${y + 11}" text-anchor="end">${kind}</text>`, ...marks];
}

function drawAxis(durationMs: number, height: number): string[] {
  const x = scale(durationMs);
  const steps = 6;
  return Array.from({ length: steps + 1 }, (_, step) => {
    const atMs = (durationMs / steps) * step;
    const seconds = Math.round(atMs / 1_000);
    const text = `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, "0")}`;
    return `<line x1="${x(atMs)}" x2="${x(atMs)}" y1="${chartHeight}" y2="${height - 25}" stroke="#dddddd"/><text x="${x(atMs)}" y="${height - 10}" text-anchor="middle">${text}</text>`;
  });
}
