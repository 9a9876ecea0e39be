/** What varies between the orders that the tools place. */
export type OrderChoice = { productId: string; quantity: number; paymentMethod: string };

/** The body of `POST /v1/orders` for the demo customer's address. */
export function orderBody({ productId, quantity, paymentMethod }: OrderChoice) {
  return {
    lines: [{ productId, quantity }],
    shippingAddress: {
      name: "Samira Haddad",
      line1: "Oranienstrasse 25",
      city: "Berlin",
      postalCode: "10999",
      countryCode: "DE",
    },
    serviceLevel: "SERVICE_LEVEL_STANDARD",
    paymentMethod,
  };
}
