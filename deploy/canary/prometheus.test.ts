import { expect, test } from "vitest";
import { parseMetrics } from "../../tools/top/metrics-text.ts";
import { toLine } from "./prometheus.ts";

test("a series is read as the line that the pod shows, whatever its labels hold", () => {
  const labels = { route: '/v1/"odd"\\path\nof two lines', status: "200" };
  const line = toLine({
    metric: { __name__: "http_server_requests_total", ...labels },
    value: [1_795_302_097.5, "12"],
  });
  expect(parseMetrics(line)).toEqual([{ name: "http_server_requests_total", labels, value: 12 }]);
});
