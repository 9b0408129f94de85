// Small geometry for drawing. Decisions are the server's; nothing here decides.

import type { Fix, Polygonal } from '@/api/types';

const R = 6371008.8;
const rad = Math.PI / 180;

export type LonLat = [number, number];

/** Metres between two places on the sphere. */
export function distance(a: LonLat, b: LonLat): number {
  const dLat = (b[1] - a[1]) * rad, dLon = (b[0] - a[0]) * rad;
  const h = Math.sin(dLat / 2) ** 2 + Math.cos(a[1] * rad) * Math.cos(b[1] * rad) * Math.sin(dLon / 2) ** 2;
  return 2 * R * Math.asin(Math.sqrt(h));
}

/** A closed ring of the circle of radius metres around c. */
export function circle(c: LonLat, radius: number, corners = 48): LonLat[] {
  const dLat = radius / R / rad, dLon = dLat / Math.cos(c[1] * rad);
  const ring: LonLat[] = [];
  for (let i = 0; i <= corners; i++) {
    const a = (i / corners) * 2 * Math.PI;
    ring.push([c[0] + dLon * Math.cos(a), c[1] + dLat * Math.sin(a)]);
  }
  return ring;
}

/** Rings of a polygon or multipolygon, each as it is. */
export function rings(g: Polygonal): LonLat[][] {
  return (g.type === 'Polygon' ? g.coordinates : (g.coordinates as number[][][][]).flat()) as LonLat[][];
}

export type Bounds = [number, number, number, number]; // west, south, east, north

export function bounds(points: Iterable<LonLat>): Bounds | null {
  let b: Bounds | null = null;
  for (const [x, y] of points) {
    if (!b) b = [x, y, x, y];
    else b = [Math.min(b[0], x), Math.min(b[1], y), Math.max(b[2], x), Math.max(b[3], y)];
  }
  return b;
}

/** Whether p lies in the polygon, by crossings; for choosing what to draw, never for a verdict. */
export function contains(g: Polygonal, p: LonLat): boolean {
  let inside = false;
  for (const ring of rings(g)) {
    for (let i = 0, j = ring.length - 1; i < ring.length; j = i++) {
      const [xi, yi] = ring[i]!, [xj, yj] = ring[j]!;
      if (yi > p[1] !== yj > p[1] && p[0] < ((xj - xi) * (p[1] - yi)) / (yj - yi) + xi) inside = !inside;
    }
  }
  return inside;
}

/** The longest silence between two fixes over which a line may still be drawn, ms: three usual intervals, at least five minutes. */
export function gapLimit(times: number[]): number {
  const steps = times.slice(1).map((t, i) => t - times[i]!).filter((d) => d > 0).sort((a, b) => a - b);
  const median = steps.length ? steps[Math.floor(steps.length / 2)]! : 0;
  return Math.max(3 * median, 5 * 60_000);
}

/** A track cut at its gaps: only fixes that follow each other closely are joined. Fixes are in order of time. */
export function pieces<T extends Pick<Fix, 'fix_at'>>(fixes: T[], limit?: number): T[][] {
  const times = fixes.map((f) => Date.parse(f.fix_at));
  const max = limit ?? gapLimit(times);
  const out: T[][] = [];
  fixes.forEach((f, i) => {
    if (i === 0 || times[i]! - times[i - 1]! > max) out.push([f]);
    else out[out.length - 1]!.push(f);
  });
  return out;
}

/** A fix by satellite is drawn solid; every other method hollow. */
export function isSatellite(method: string): boolean {
  return method === 'gnss' || method === 'gps';
}
