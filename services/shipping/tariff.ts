import { ErrorReason, ErrorReasonSchema } from "#gen/souk/shipping/v1/errors_pb.ts";
import { serviceError } from "#kit/errors/errors.ts";

/** How fast a parcel travels. */
export type ServiceLevel = "STANDARD" | "EXPRESS";

/** What shipping costs, in cents of euro, and how many days it takes at most. */
export interface Quote {
  readonly currencyCode: "EUR";
  readonly amountMinor: bigint;
  readonly days: number;
}

interface Zone {
  readonly countries: string;
  readonly rates: Readonly<Record<ServiceLevel, Quote>>;
}

const rate = (amountMinor: bigint, days: number): Quote => ({ currencyCode: "EUR", amountMinor, days });

const zones: readonly Zone[] = [
  { countries: "DE", rates: { STANDARD: rate(490n, 3), EXPRESS: rate(1_290n, 1) } },
  {
    countries: "AT BE CH CZ DK FR LI LU NL PL",
    rates: { STANDARD: rate(990n, 5), EXPRESS: rate(2_490n, 2) },
  },
  {
    countries: "BG CY EE ES FI GB GR HR HU IE IS IT LT LV MC MT NO PT RO SE SI SK SM VA",
    rates: { STANDARD: rate(1_490n, 7), EXPRESS: rate(3_490n, 3) },
  },
  {
    countries:
      "AE AR AU BR CA CL CO CR EG HK ID IL IN JP KE KR MA MX MY NG NZ PE PH QA RS SA SG TH TN TR TW UA US UY VN ZA",
    rates: { STANDARD: rate(2_990n, 14), EXPRESS: rate(5_990n, 5) },
  },
];

const ratesByCountry = new Map(
  zones.flatMap(({ countries, rates }) => countries.split(" ").map((country) => [country, rates] as const)),
);

/**
 * What a shipment to a country (ISO 3166-1 alpha-2, capitals) costs, whatever is in it.
 * @throws ServiceError COUNTRY_NOT_SERVED for every country in no zone.
 */
export function quote(countryCode: string, serviceLevel: ServiceLevel): Quote {
  const rates = ratesByCountry.get(countryCode);
  if (!rates) throw countryNotServed(countryCode);
  return rates[serviceLevel];
}

const countryNotServed = (countryCode: string) =>
  serviceError(ErrorReasonSchema, ErrorReason.COUNTRY_NOT_SERVED, "The shop does not ship to this country.", {
    metadata: { country_code: countryCode },
  });
