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

export const countyBounds = (c: County): Bounds => bounds(c.rings.flat())!;
