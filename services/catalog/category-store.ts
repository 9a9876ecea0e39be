import { isUniqueViolation, type Queryable, statement, type Transaction } from "#kit/postgres/postgres.ts";
import { slugTaken } from "./product.ts";

/** A group of products. */
export interface Category {
  readonly categoryId: string;
  readonly name: string;
  /** The name as it stands in addresses; unique. */
  readonly slug: string;
}

/** More categories than a shop has; the answer has no pages. */
const maxCategories = 1_000;

const selectCategories = statement(
  "catalog-select-categories",
  `select category_id, name, slug from categories order by name, category_id limit $1`,
);

const insertCategory = statement(
  "catalog-insert-category",
  `insert into categories (category_id, name, slug, created_at) values ($1, $2, $3, souk_now())`,
);

/** All categories, by name. */
export async function readCategories(source: Queryable): Promise<Category[]> {
  const rows = await source.query<CategoryRow>(selectCategories, [maxCategories]);
  return rows.map((row) => ({ categoryId: row.category_id, name: row.name, slug: row.slug }));
}

/**
 * Adds a category.
 * @throws ServiceError SLUG_TAKEN.
 */
export async function addCategory(tx: Transaction, category: Category): Promise<void> {
  const { categoryId, name, slug } = category;
  await tx.query(insertCategory, [categoryId, name, slug]).catch((error: unknown) => {
    throw isUniqueViolation(error, "categories_slug") ? slugTaken(slug) : error;
  });
}

interface CategoryRow {
  category_id: string;
  name: string;
  slug: string;
}
