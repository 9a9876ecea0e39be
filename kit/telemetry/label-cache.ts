/** Remembers what was made for a label value. */
export function cacheByOne<Handle>(make: (label: string) => Handle): (label: string) => Handle {
  const handles = new Map<string, Handle>();
  return (label) => {
    const present = handles.get(label);
    if (present !== undefined) return present;
    const made = make(label);
    handles.set(label, made);
    return made;
  };
}

/** Remembers what was made for two label values, without building a key out of them on each call. */
export function cacheByTwo<Handle>(
  make: (first: string, second: string) => Handle,
): (first: string, second: string) => Handle {
  const handlesOf = cacheByOne((first) => cacheByOne((second) => make(first, second)));
  return (first, second) => handlesOf(first)(second);
}
