/** The header of a swap area, as mkswap writes it: one page that ends in SWAPSPACE2 (include/linux/swap.h, swap_header). */
const PAGE = 4096;

/** `uuid` has 16 bytes. Only this first page of the area needs to be written. */
export function swapHeader(sizeBytes: number, uuid: Uint8Array, label: string): Uint8Array {
  const pages = Math.floor(sizeBytes / PAGE);
  if (pages < 10) throw new Error('A swap area needs at least 40 KiB.');
  const page = new Uint8Array(PAGE);
  const view = new DataView(page.buffer);
  view.setUint32(1024, 1, true); // version
  view.setUint32(1028, pages - 1, true); // last usable page
  view.setUint32(1032, 0, true); // bad pages
  page.set(uuid.subarray(0, 16), 1036);
  page.set(new TextEncoder().encode(label).subarray(0, 16), 1052);
  page.set(new TextEncoder().encode('SWAPSPACE2'), PAGE - 10);
  return page;
}
