/** What is wrong with an entry of a list of hosts, if anything. */
export function hostFault(entry: string): string | undefined {
  return /^(\*\.)?([a-z0-9_-]+\.)*[a-z0-9_-]+(:\d{1,5})?$|^\[[0-9a-f:.]+\](:\d{1,5})?$/i.test(entry)
    ? undefined
    : "is no host such as shop.example, shop.example:8443 or *.shop.example";
}

/** What is wrong with an entry of a list of origins, if anything. */
export function originFault(entry: string): string | undefined {
  const isOrigin =
    URL.canParse(entry) && /^https?:$/.test(new URL(entry).protocol) && new URL(entry).origin === entry;
  return isOrigin ? undefined : "is no origin such as https://shop.example";
}

/** Tells which hosts are served; an entry without a port means any. No entries at all mean every host. */
export function hostMatcher(entries: readonly string[]): (authority: string) => boolean {
  if (entries.length === 0) return () => true;
  const all = entries.map((entry) => entry.toLowerCase());
  const exact = new Set(all.filter((entry) => !entry.startsWith("*.")));
  const endings = all.filter((entry) => entry.startsWith("*.")).map((entry) => entry.slice(1));
  return (authority) => {
    const whole = authority.toLowerCase();
    const host = whole.replace(/:\d*$/, "");
    if (exact.has(whole) || exact.has(host)) return true;
    return endings.some((ending) => whole.endsWith(ending) || host.endsWith(ending));
  };
}

/** Whether a page may open a WebSocket here: one of those allowed, or of the host it calls. */
export function mayOpenWebSocket(origin: string, authority: string, allowed: readonly string[]): boolean {
  if (allowed.includes(origin)) return true;
  return URL.canParse(origin) && new URL(origin).host === authority.toLowerCase();
}
