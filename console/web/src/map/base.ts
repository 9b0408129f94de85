// The offline base map: counties of one province, loaded once.

import { bounds, contains, type Bounds, type LonLat } from '@/lib/geo';
import type { County } from './scene';

let loading: Promise<County[]> | null = null;

interface File {
  features: { id: string; properties: { name: string }; geometry: { coordinates: LonLat[][][] } }[];
}

export function counties(): Promise<County[]> {
  loading ??= fetch('/map/hubei-counties.json')
    .then((r) => (r.ok ? (r.json() as Promise<File>) : Promise.reject(new Error(String(r.status)))))
    .then((f) => f.features.map((c) => {
      const rings = c.geometry.coordinates.flat();
      const longest = rings.reduce((a, b) => (b.length > a.length ? b : a), rings[0] ?? []);
      const b = bounds(longest) ?? [0, 0, 0, 0];
      return { id: c.id, name: c.properties.name, rings, centre: [(b[0] + b[2]) / 2, (b[1] + b[3]) / 2] as LonLat };
    }));
  loading.catch(() => (loading = null));
  return loading;
}

/** The county a place lies in: the one this console is about. */
export function countyOf(all: County[], at: LonLat): County | null {
  return all.find((c) => contains({ type: 'Polygon', coordinates: c.rings }, at)) ?? null;
}

/**
 * Where the name of a neighbour is written: inside it, but by the border it shares with home, so that it is in the picture
 * when home fills it. Counties that do not touch home have their name in their middle.
 */
export function nameAt(c: County, home: County | null): LonLat {
  if (!home || c === home) return c.centre;
  const b = countyBounds(home);
  const shared = c.rings.flat().filter(([x, y]) => x > b[0] && x < b[2] && y > b[1] && y < b[3]);
  if (shared.length < 12) return c.centre;
  const from: LonLat = [shared.reduce((n, p) => n + p[0], 0) / shared.length, shared.reduce((n, p) => n + p[1], 0) / shared.length];
  const far = Math.hypot(c.centre[0] - from[0], c.centre[1] - from[1]);
  const inside = { type: 'Polygon' as const, coordinates: c.rings };
  for (let d = 0.05; d < far; d += 0.02) {
    const step = (k: number): LonLat => [from[0] + ((c.centre[0] - from[0]) * k) / far, from[1] + ((c.centre[1] - from[1]) * k) / far];
    if (contains(inside, step(d)) && contains(inside, step(d - 0.04)) && contains(inside, step(d + 0.04))) return step(d);
  }
  return c.centre;
}

export const countyBounds = (c: County): Bounds => bounds(c.rings.flat())!;
