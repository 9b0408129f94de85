// A source of data is a wire and a class of device: 'jt808 wristband'.
export function sourceName(source: string, word: (list: string, code: string) => string): string {
  const [wire = '', device = ''] = source.split(' ');
  return `${word('wire', wire)} · ${word('channel', device)}`;
}
