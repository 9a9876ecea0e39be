// What the demo shop sells: 200 products in 12 categories, the same on every machine. Each category has things and
// finishes; a product is a thing in a finish.

/** A group of products to be. */
export type SeedCategory = { slug: string; name: string };

/** A product to be, with its stock. */
export type SeedProduct = {
  sku: string;
  categorySlug: string;
  name: string;
  description: string;
  priceMinor: number;
  stock: number;
};

type Thing = readonly [name: string, priceMinor: number, description: string];

type Group = {
  slug: string;
  name: string;
  skuPrefix: string;
  things: readonly Thing[];
  finishes: readonly string[];
};

/** The currency of all prices. */
export const CURRENCY = "EUR";

const PRODUCT_COUNT = 200;
/** What a finish adds to the price, in percent of the thing's own: the first is the plain one. */
const FINISH_SURCHARGE_PERCENT = [0, 8, 15, 24];
const LEAST_STOCK = 250;
const STOCK_SPREAD = 750;
/** Coprime to the spread, so that neighbouring products do not have the same stock. */
const STOCK_STRIDE = 137;

const GROUPS: readonly Group[] = [
  {
    slug: "lighting",
    name: "Lighting",
    skuPrefix: "LGT",
    things: [
      ["Mosaic Table Lamp", 5490, "Hand-laid glass pieces on a turned base; takes an E14 bulb."],
      ["Pierced Lantern", 3990, "Throws a star pattern on the wall; for candles or a small bulb."],
      ["Hanging Lamp", 8990, "Blown glass on a one-metre chain, with canopy and fittings."],
      ["Wall Sconce", 4490, "Half-round, open at the top; wired for wall mounting."],
      ["Tealight Holder, set of three", 1890, "Three heights that nest into one another."],
    ],
    finishes: ["Amber", "Turquoise", "Ruby", "Antique Brass"],
  },
  {
    slug: "rugs",
    name: "Rugs and Kilims",
    skuPrefix: "RUG",
    things: [
      ["Flatweave Kilim 80 × 150", 12900, "Wool on cotton, woven on an upright loom; reversible."],
      ["Flatweave Kilim 120 × 180", 21900, "Wool on cotton, woven on an upright loom; reversible."],
      ["Tufted Runner 70 × 240", 15900, "Dense pile for hallways, with a cotton back."],
      ["Prayer Rug 65 × 110", 6990, "Light enough to roll up and carry."],
      ["Floor Cushion Cover", 3490, "Made from kilim remnants; no two are quite alike."],
    ],
    finishes: ["Madder Red", "Indigo", "Undyed", "Saffron"],
  },
  {
    slug: "ceramics",
    name: "Ceramics",
    skuPrefix: "CER",
    things: [
      ["Tagine 28 cm", 4290, "Glazed earthenware for four; goes into the oven at up to 200 °C."],
      ["Serving Bowl 32 cm", 3690, "Wide and shallow, painted by hand under the glaze."],
      ["Coffee Cup and Saucer", 1590, "Eighty millilitres, thin-walled, dishwasher-safe."],
      ["Olive Dish", 1290, "Two compartments: one for the olives, one for the stones."],
      ["Wall Tile 10 × 10, set of twelve", 4890, "Tin-glazed; slight differences are part of the craft."],
    ],
    finishes: ["Cobalt", "Sea Green", "White", "Iznik Tulip"],
  },
  {
    slug: "spices",
    name: "Spices",
    skuPrefix: "SPC",
    things: [
      ["Cumin", 390, "Whole or ground from this year's harvest; warm and earthy."],
      ["Sumac", 490, "Dried berries, tart; for salads, onions and grilled meat."],
      ["Smoked Paprika", 450, "Dried over oak for two weeks, then stone-ground."],
      ["Ras el Hanout", 690, "Twenty-two spices by the house's own recipe."],
      ["Za'atar", 550, "Thyme, sesame and sumac; with oil and bread it is a breakfast."],
    ],
    finishes: ["50 g Pouch", "100 g Tin", "250 g Refill", "Gift Jar"],
  },
  {
    slug: "tea-and-coffee",
    name: "Tea and Coffee",
    skuPrefix: "TEA",
    things: [
      ["Black Tea", 790, "Small leaf from the Black Sea coast, full-bodied."],
      ["Mint Tea", 690, "Gunpowder green tea with dried spearmint."],
      ["Coffee with Cardamom", 990, "Medium roast, ground fine for the pot."],
      ["Apple Tea", 650, "Dried fruit, no tea leaf, no caffeine."],
      ["Sage Tea", 720, "Mountain sage picked by hand in May."],
    ],
    finishes: ["100 g Bag", "250 g Bag", "Tin", "Gift Box"],
  },
  {
    slug: "leather",
    name: "Leather",
    skuPrefix: "LEA",
    things: [
      ["Satchel", 11900, "Vegetable-tanned, with two buckles and an inner pocket for papers."],
      ["Slippers", 3990, "Soft sole, hand-stitched; they widen with wear."],
      ["Pouf, unfilled", 8490, "Eight panels with silk stitching and a zip at the bottom."],
      ["Card Wallet", 2490, "Four slots and one pocket, from a single piece."],
      ["Belt 35 mm", 3290, "Full-grain with a solid brass buckle; can be shortened."],
    ],
    finishes: ["Natural", "Cognac", "Dark Brown", "Black"],
  },
  {
    slug: "jewellery",
    name: "Jewellery",
    skuPrefix: "JWL",
    things: [
      ["Filigree Earrings", 4590, "Drawn wire, soldered by hand; hooks of 925 silver."],
      ["Signet Ring", 6490, "Plain oval face, ready for engraving."],
      ["Chain Bracelet", 5290, "Eighteen centimetres with an extension of three."],
      ["Evil Eye Pendant", 2990, "Glass bead in a bezel on a cord of forty-five centimetres."],
      ["Stacking Rings, set of three", 3890, "One plain, one hammered, one twisted."],
    ],
    finishes: ["Silver", "Gold-Plated", "Oxidised Silver", "Rose Gold-Plated"],
  },
  {
    slug: "copper-and-brass",
    name: "Copper and Brass",
    skuPrefix: "COP",
    things: [
      ["Coffee Pot", 3290, "Tinned inside, with a long handle; for two or three cups."],
      ["Round Tray 40 cm", 5490, "Engraved by hand, with a raised rim."],
      ["Pepper Mill", 2890, "Steel mechanism, adjustable from coarse to fine."],
      ["Samovar 3 l", 18900, "With tap and teapot; for charcoal or a spirit stove."],
      ["Sugar Bowl with Lid", 2190, "The lid turns; the hinge is riveted."],
    ],
    finishes: ["Polished Copper", "Hammered Copper", "Brass", "Antique Brass"],
  },
  {
    slug: "bath",
    name: "Bath and Soap",
    skuPrefix: "BTH",
    things: [
      ["Olive Oil Soap", 590, "Cold-processed and dried for nine months."],
      ["Hammam Towel 90 × 180", 2790, "Flat-woven cotton; dries quickly and packs small."],
      ["Exfoliating Mitt", 890, "Raw silk weave; used wet, with soap."],
      ["Rose Water 250 ml", 1190, "Steam-distilled from Damask roses, nothing added."],
    ],
    finishes: ["Plain", "Laurel", "Lavender", "Orange Blossom"],
  },
  {
    slug: "paper",
    name: "Paper and Books",
    skuPrefix: "PAP",
    things: [
      ["Notebook A5", 1690, "Ninety-six pages, thread-sewn, lies flat."],
      ["Letter Set", 1490, "Twelve sheets and envelopes with marbled lining."],
      ["Photo Album", 3290, "Forty pages of black card with tissue between."],
      ["Calligraphy Reed Pens, set of five", 2290, "Cut by hand in five widths."],
    ],
    finishes: ["Marbled Blue", "Marbled Red", "Linen", "Embossed Leather"],
  },
  {
    slug: "furniture",
    name: "Furniture",
    skuPrefix: "FUR",
    things: [
      ["Side Table", 13900, "Folding legs under a removable top; fifty centimetres high."],
      ["Inlaid Box", 4990, "Mother-of-pearl and bone in geometric bands; lined with felt."],
      ["Stool", 7990, "Turned legs and a woven seat; carries 120 kilograms."],
      ["Mirror 50 × 70", 11900, "Carved frame, with fittings for either direction."],
    ],
    finishes: ["Walnut", "Olive Wood", "Cedar", "Ebonised Beech"],
  },
  {
    slug: "pantry",
    name: "Pantry",
    skuPrefix: "PAN",
    things: [
      ["Olive Oil", 1290, "First cold pressing of a single grove."],
      ["Pomegranate Molasses", 690, "Boiled down from fruit alone; sweet and sharp."],
      ["Medjool Dates", 990, "Soft and large, packed in the week of the order."],
      ["Rose Petal Jam", 790, "Cooked in small pans; with bread, yoghurt or tea."],
    ],
    finishes: ["Small", "Medium", "Large", "Gift Pack"],
  },
];

/** The categories. */
export const SEED_CATEGORIES: readonly SeedCategory[] = GROUPS.map(({ slug, name }) => ({ slug, name }));

/** The products, in the order of their categories. */
export const SEED_PRODUCTS: readonly SeedProduct[] = trim(GROUPS.map(productsOf))
  .flat()
  .map((product, index) => ({
    ...product,
    stock: LEAST_STOCK + ((index * STOCK_STRIDE) % STOCK_SPREAD),
  }));

function productsOf(group: Group): Omit<SeedProduct, "stock">[] {
  const pairs = group.finishes.flatMap((finish, rank) =>
    group.things.map((thing) => ({ thing, finish, rank })),
  );
  return pairs.map(({ thing: [name, priceMinor, description], finish, rank }, index) => ({
    sku: `${group.skuPrefix}-${String(index + 1).padStart(3, "0")}`,
    categorySlug: group.slug,
    name: `${name}, ${finish}`,
    description: `${description} Variant: ${finish}.`,
    priceMinor: priced(priceMinor, FINISH_SURCHARGE_PERCENT[rank] ?? 0),
  }));
}

/** A dearer finish has a price that ends in 90, as shop prices do. */
function priced(baseMinor: number, surchargePercent: number): number {
  if (surchargePercent === 0) return baseMinor;
  const raised = baseMinor * (1 + surchargePercent / 100);
  return Math.max(Math.round((raised - 90) / 100) * 100 + 90, baseMinor);
}

/** Takes the last products off the largest groups until the count is right. */
function trim<Product>(groups: Product[][]): Product[][] {
  const count = groups.reduce((sum, { length }) => sum + length, 0);
  if (count <= PRODUCT_COUNT) return groups;
  const largest = groups.reduce((most, group) => (group.length >= most.length ? group : most));
  return trim(groups.map((group) => (group === largest ? group.slice(0, -1) : group)));
}
