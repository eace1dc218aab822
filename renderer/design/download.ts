/** Hands bytes or text to the browser's downloads; in Electron that opens its save dialog. */
export function download(fileName: string, content: Uint8Array | string, mediaType: string): void {
  const part = typeof content === 'string' ? content : content.slice();
  const address = URL.createObjectURL(new Blob([part], { type: mediaType }));
  const link = document.createElement('a');
  link.href = address;
  link.download = fileName;
  link.click();
  setTimeout(() => URL.revokeObjectURL(address), 60_000);
}
