// Quantities as people read them; words come from the catalogues.

/** 1.3 公里 or 850 米, in the words given. */
export function metres(m: number | null | undefined, unit: { m: string; km: string }): string {
  if (m === null || m === undefined || !Number.isFinite(m)) return '–';
  const a = Math.abs(m);
  if (a >= 10_000) return `${Math.round(m / 1000)} ${unit.km}`;
  if (a >= 1000) return `${(m / 1000).toFixed(1)} ${unit.km}`;
  if (a >= 10) return `${Math.round(m)} ${unit.m}`;
  return `${Number(m.toFixed(1))} ${unit.m}`;
}

/** Five decimals: a metre on the ground. */
export function lonLat(lon: number, lat: number): string {
  return `${lat.toFixed(5)}, ${lon.toFixed(5)}`;
}

export function percent(part: number, whole: number): string {
  return whole > 0 ? `${Math.round((100 * part) / whole)}%` : '–';
}

/** 12 345 with a thin space, as in tables of the office. */
export function integer(n: number): string {
  return String(Math.trunc(n)).replace(/\B(?=(\d{3})+(?!\d))/g, '\u2009');
}
