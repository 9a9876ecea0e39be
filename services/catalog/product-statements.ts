import { statement } from "#kit/postgres/postgres.ts";

const columns = `product_id, sku, name, description, category_id, price_currency, price_minor, status,
     coalesce(in_stock, false) as in_stock, version, created_at, updated_at`;
const source = `products left join sku_availability using (sku)`;

/** $1 products, in any status. */
export const selectProducts = statement(
  "catalog-select-products",
  `select ${columns} from ${source} where product_id = any($1)`,
);

/** $1 product. Locked, so that of two changes at once the later one sees the earlier one's version. */
export const lockProduct = statement(
  "catalog-lock-product",
  `select ${columns} from ${source} where product_id = $1 for update of products`,
);

/** $1 the last product of the page before or null, $2 rows. */
export const selectPage = statement(
  "catalog-select-page",
  `select ${columns} from ${source}
   where status = 'active' and ($1::text is null or product_id < $1) order by product_id desc limit $2`,
);

/** $1 as above, $2 rows, $3 category. A statement of its own, since one plan cannot use both indexes. */
export const selectCategoryPage = statement(
  "catalog-select-category-page",
  `select ${columns} from ${source}
   where status = 'active' and category_id = $3 and ($1::text is null or product_id < $1)
   order by product_id desc limit $2`,
);

/**
 * $1 what a person typed, $2 rank and $3 id of the last product of the page before or null, $4 rows. The rank travels as
 * text: a float4 survives that unchanged. `websearch_to_tsquery` takes any text and never fails.
 */
export const searchPage = statement(
  "catalog-search-page",
  `with asked as materialized (select websearch_to_tsquery('english', $1) as words),
   matched as (
     select products.*, ts_rank(products.words, asked.words) as rank
     from products, asked where status = 'active' and products.words @@ asked.words
   )
   select ${columns}, rank::text from matched left join sku_availability using (sku)
   where $2::real is null or (rank, product_id) < ($2, $3) order by rank desc, product_id desc limit $4`,
);

/** $1 id, $2 SKU, $3 name, $4 description, $5 category, $6 currency, $7 minor units. No row without the category. */
export const insertProduct = statement(
  "catalog-insert-product",
  `with made as (
     insert into products
       (product_id, sku, name, description, category_id, price_currency, price_minor, created_at, updated_at)
     select $1, $2, $3, $4, category_id, $6, $7, clock.time, clock.time
     from categories, (select souk_now() as time) as clock where category_id = $5
     returning *
   )
   select ${columns} from made left join sku_availability using (sku)`,
);

/** $1 id, $2 name, $3 description, $4 category, $5 currency, $6 minor units, $7 status, $8 version. Row as above. */
export const updateProduct = statement(
  "catalog-update-product",
  `with changed as (
     update products set name = $2, description = $3, category_id = $4, price_currency = $5, price_minor = $6,
       status = $7, version = $8, updated_at = souk_now()
     where product_id = $1 and exists (select from categories where category_id = $4)
     returning *
   )
   select ${columns} from changed left join sku_availability using (sku)`,
);

/** $1 SKU, $2 whether enough is left, $3 version of the stock. Old news changes nothing. */
export const upsertAvailability = statement(
  "catalog-upsert-availability",
  `with known as (
     insert into sku_availability as known (sku, in_stock, stock_version) values ($1, $2, $3)
     on conflict (sku) do update set in_stock = excluded.in_stock, stock_version = excluded.stock_version
       where known.stock_version < excluded.stock_version
     returning sku
   )
   select product_id from products join known using (sku)`,
);
