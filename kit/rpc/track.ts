/** The header by which a call in the mesh chooses canaries over weights; the edge takes it from outsiders' requests. */
export const trackHeader = "x-souk-track";
