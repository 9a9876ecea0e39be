import type { Parcel, QuoteRequest, ServiceLevel } from "./requests.ts";

/** Where the carrier collects; elsewhere is abroad. */
const HOME_COUNTRY = "DE";
const TARIFFS = {
  standard: { parcelMinor: 490, startedKilogramMinor: 60, abroadMinor: 900, days: 3 },
  express: { parcelMinor: 1290, startedKilogramMinor: 120, abroadMinor: 2400, days: 1 },
} as const satisfies Record<ServiceLevel, object>;
const DAYS_ABROAD = 4;

/** What a service costs for some parcels, in minor units, and how many working days it takes. */
export type Quote = { service: ServiceLevel; cost_minor: number; currency: string; working_days: number };

/** The prices of all services. */
export function quoteAll({ destination, parcels }: QuoteRequest, currency: string): Quote[] {
  return (Object.keys(TARIFFS) as ServiceLevel[]).map((service) => ({
    service,
    cost_minor: costMinor(service, destination.country, parcels),
    currency,
    working_days: TARIFFS[service].days + (destination.country === HOME_COUNTRY ? 0 : DAYS_ABROAD),
  }));
}

/** Price of a service: per parcel, per started kilogram, and per parcel that goes abroad. */
export function costMinor(service: ServiceLevel, country: string, parcels: Parcel[]): number {
  const { parcelMinor, startedKilogramMinor, abroadMinor } = TARIFFS[service];
  const perParcelMinor = parcelMinor + (country === HOME_COUNTRY ? 0 : abroadMinor);
  const kilograms = parcels.reduce((sum, parcel) => sum + Math.ceil(parcel.weight_grams / 1000), 0);
  return parcels.length * perParcelMinor + kilograms * startedKilogramMinor;
}
