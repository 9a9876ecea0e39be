/** What recording a step of a saga can come to: it is repeated or done, refused, and (but for the last) undone. */
export const edges: readonly string[] = [
  ...["reserve", "authorize", "book", "capture"].map((step) => `running ${step}`),
  "completed capture",
  ...["reserve", "authorize", "book", "capture"].map((step) => `compensating ${step}`),
  "compensated reserve",
  ...["reserve", "authorize", "book"].map((step) => `turned back at ${step}`),
  // Cancelling after checkout, and returns and refunds, which begin with the refund.
  ...["shipment", "refund", "restock"].map((step) => `running ${step}`),
  "compensated shipment",
  "completed restock",
  "completed refund",
];
