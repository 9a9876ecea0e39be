/** What a listing asks for. */
export type PageRequest = { pageSize: number; pageToken: string };

const PAGE_SIZE = 100;
/** A listing that goes on for longer is turning in a circle. */
const MAX_PAGES = 1000;

/** Reads all pages of a listing into a set. */
export async function readPages<Item>(
  read: (page: PageRequest) => Promise<{ items: readonly Item[]; nextPageToken: string }>,
): Promise<Set<Item>> {
  const all = new Set<Item>();
  let pageToken = "";
  for (let page = 0; page < MAX_PAGES; page += 1) {
    const { items, nextPageToken } = await read({ pageSize: PAGE_SIZE, pageToken });
    for (const item of items) all.add(item);
    if (nextPageToken === "") return all;
    pageToken = nextPageToken;
  }
  throw new Error(`A listing has more than ${MAX_PAGES} pages`);
}
