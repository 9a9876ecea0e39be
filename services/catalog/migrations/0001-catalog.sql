create table categories (
  category_id text collate "C" primary key,
  name text not null,
  slug text not null constraint categories_slug unique,
  created_at timestamptz not null
);

create table products (
  product_id text collate "C" primary key,
  sku text collate "C" not null constraint products_sku unique,
  name text not null,
  description text not null,
  category_id text collate "C" not null references categories (category_id),
  price_currency text not null check (price_currency ~ '^[A-Z]{3}$'),
  price_minor bigint not null check (price_minor >= 0),
  status text not null default 'active' check (status in ('active', 'archived')),
  version bigint not null default 1,
  created_at timestamptz not null,
  updated_at timestamptz not null,
  -- Kept by the database, so that no writer can forget it.
  words tsvector not null generated always as (
    setweight(to_tsvector('english', name), 'A') || setweight(to_tsvector('english', description), 'B')
  ) stored
);

-- Ids sort by when they were made, so these are also the pages of "newest first".
create index products_on_sale on products (product_id) where status = 'active';
create index products_on_sale_by_category on products (category_id, product_id) where status = 'active';
create index products_words on products using gin (words) where status = 'active';

-- What inventory last announced, by SKU and not by product: the news of a SKU may come before its product does.
create table sku_availability (
  sku text collate "C" primary key,
  in_stock boolean not null,
  stock_version bigint not null
);
