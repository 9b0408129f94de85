/** Saves what the server sent as a file of the browser. */
export function save(content: Blob, name: string): void {
  const at = URL.createObjectURL(content);
  const a = document.createElement('a');
  a.href = at;
  a.download = name;
  a.click();
  setTimeout(() => URL.revokeObjectURL(at), 10_000);
}
