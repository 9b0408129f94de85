// The scene as MapLibre sources and layers.

import type { Feature, FeatureCollection, Geometry } from 'geojson';
import type { ExpressionSpecification, LayerSpecification, SourceSpecification } from 'maplibre-gl';
import { circle, type LonLat } from '@/lib/geo';
import { nameAt } from './base';
import type { Palette } from './palette';
import type { County, Scene } from './scene';

export type SourceName = 'counties' | 'names' | 'zones' | 'offices' | 'dots' | 'alerting' | 'lines' | 'circles' | 'marks';

const point = (at: LonLat): Geometry => ({ type: 'Point', coordinates: at });
const feature = (geometry: Geometry, properties: Record<string, unknown>, id?: number): Feature =>
  ({ type: 'Feature', geometry, properties, ...(id === undefined ? {} : { id }) });
const collect = (features: Feature[]): FeatureCollection => ({ type: 'FeatureCollection', features });

export function countyData(all: County[], home: County | null): Record<'counties' | 'names', FeatureCollection> {
  return {
    counties: collect(all.map((c) => feature({ type: 'MultiPolygon', coordinates: c.rings.map((r) => [r]) }, { home: c === home }))),
    names: collect(all.filter((c) => c !== home).map((c) => feature(point(nameAt(c, home)), { name: c.name }))),
  };
}

const ALERTING = new Set(['alarm', 'reminder', 'lead', 'handled']);

/** The data of each source that a change of the scene touches. */
export function sceneData(part: Partial<Scene>, whole: Scene): Partial<Record<SourceName, FeatureCollection>> {
  const out: Partial<Record<SourceName, FeatureCollection>> = {};
  if (part.zones) {
    out.zones = collect(part.zones.map((z) => feature(z.geometry as Geometry, { purpose: z.purpose, name: z.name })));
  }
  if (part.offices) {
    out.offices = collect(part.offices.filter((o) => o.lon !== null && o.lat !== null)
      .map((o) => feature(point([o.lon!, o.lat!]), { name: o.short_name })));
  }
  if (part.dots || part.selected !== undefined) {
    const dots = whole.dots.map((d) => feature(point(d.at), { id: d.id, look: d.look, hollow: d.hollow, selected: d.id === whole.selected }, d.id));
    // Whoever has an open alert, or is selected, is never hidden in a cluster.
    const apart = (f: Feature) => ALERTING.has(f.properties!.look as string) || f.properties!.selected === true;
    out.dots = collect(dots.filter((f) => !apart(f)));
    out.alerting = collect(dots.filter(apart));
  }
  if (part.lines) {
    out.lines = collect(part.lines.filter((l) => l.length > 1).map((l) => feature({ type: 'LineString', coordinates: l }, {})));
  }
  if (part.marks || part.focus !== undefined) {
    const circles = whole.marks.filter((m) => m.accuracy > 0)
      .map((m) => feature({ type: 'Polygon', coordinates: [circle(m.at, m.accuracy)] }, { tone: m.tone, selected: m.selected }));
    if (whole.focus && whole.focus.accuracy > 0) {
      circles.push(feature({ type: 'Polygon', coordinates: [circle(whole.focus.at, whole.focus.accuracy)] }, { tone: 'plain', selected: true }));
    }
    out.circles = collect(circles);
    out.marks = collect(whole.marks.map((m) => feature(point(m.at), { key: m.key, tone: m.tone, hollow: m.hollow, selected: m.selected, small: m.small ?? false }, m.key)));
  }
  return out;
}

export function sources(): Record<SourceName, SourceSpecification> {
  const plain = (): SourceSpecification => ({ type: 'geojson', data: collect([]) });
  return {
    counties: plain(), names: plain(), zones: plain(), offices: plain(), alerting: plain(), lines: plain(), circles: plain(), marks: plain(),
    dots: { type: 'geojson', data: collect([]), cluster: true, clusterRadius: 34, clusterMaxZoom: 11, clusterMinPoints: 4 },
  };
}

const tones = (p: Palette): ExpressionSpecification =>
  ['match', ['get', 'tone'], 'out', p.tone.out, 'in', p.tone.in, 'unsure', p.tone.unsure, 'doubtful', p.tone.doubtful, p.tone.plain];
const looks = (p: Palette): ExpressionSpecification => [
  'match', ['get', 'look'], 'alarm', p.look.alarm, 'reminder', p.look.reminder, 'lead', p.look.lead, 'handled', p.look.handled,
  'silent', p.look.silent, 'unverifiable', p.look.unverifiable, p.look.ok,
];

/** scale enlarges type and dots for the wall, which is read from five metres. */
export function layers(p: Palette, scale: number): LayerSpecification[] {
  const text = (size: number) => ({ 'text-font': ['Noto Sans SC'], 'text-size': size * scale });
  const halo = (color: string) => ({ 'text-color': color, 'text-halo-color': p.halo, 'text-halo-width': 1.4 });
  return [
    { id: 'ground', type: 'background', paint: { 'background-color': p.ground } },
    { id: 'county', type: 'fill', source: 'counties', paint: { 'fill-color': ['case', ['get', 'home'], p.home, p.county], 'fill-antialias': false } },
    { id: 'county-line', type: 'line', source: 'counties', filter: ['!', ['get', 'home']], paint: { 'line-color': p.countyLine, 'line-width': 1 } },
    { id: 'home-line', type: 'line', source: 'counties', filter: ['get', 'home'], paint: { 'line-color': p.homeLine, 'line-width': 1.6, 'line-opacity': 0.8 } },
    { id: 'zone-hatch', type: 'fill', source: 'zones', filter: ['==', ['get', 'purpose'], 'prohibited'], paint: { 'fill-pattern': 'hatch', 'fill-opacity': 0.75 } },
    { id: 'zone-fill', type: 'fill', source: 'zones', filter: ['!=', ['get', 'purpose'], 'prohibited'], paint: { 'fill-color': p.zoneFill, 'fill-opacity': 0.06 } },
    { id: 'zone-line', type: 'line', source: 'zones', paint: { 'line-color': p.zoneLine, 'line-width': ['case', ['==', ['get', 'purpose'], 'prohibited'], 2, 1.8] } },
    { id: 'names', type: 'symbol', source: 'names', minzoom: 7.6, layout: { 'text-field': ['get', 'name'], ...text(15), 'text-padding': 6 }, paint: halo(p.countyText) },
    { id: 'circles', type: 'fill', source: 'circles', paint: { 'fill-color': tones(p), 'fill-opacity': ['case', ['get', 'selected'], 0.22, 0.08] } },
    { id: 'circles-line', type: 'line', source: 'circles', paint: { 'line-color': tones(p), 'line-width': ['case', ['get', 'selected'], 2, 1], 'line-opacity': ['case', ['get', 'selected'], 0.95, 0.4] } },
    { id: 'lines', type: 'line', source: 'lines', layout: { 'line-join': 'round', 'line-cap': 'round' }, paint: { 'line-color': p.track, 'line-width': 1.8, 'line-opacity': 0.75 } },
    { id: 'offices', type: 'symbol', source: 'offices', minzoom: 8,
      layout: { 'icon-image': 'office', 'icon-size': scale, 'icon-allow-overlap': true, 'text-field': ['get', 'name'], ...text(15), 'text-anchor': 'left', 'text-offset': [0.7, 0], 'text-optional': true, 'text-padding': 3 },
      paint: halo(p.officeText) },
    { id: 'clusters', type: 'circle', source: 'dots', filter: ['has', 'point_count'],
      paint: { 'circle-color': p.cluster, 'circle-radius': ['*', scale, ['step', ['get', 'point_count'], 12, 20, 15, 80, 19]], 'circle-opacity': 0.92, 'circle-stroke-color': p.look.silent, 'circle-stroke-width': 1 } },
    { id: 'cluster-count', type: 'symbol', source: 'dots', filter: ['has', 'point_count'],
      layout: { 'text-field': ['get', 'point_count_abbreviated'], ...text(15), 'text-allow-overlap': true }, paint: { 'text-color': p.clusterText } },
    { id: 'dots', type: 'symbol', source: 'dots', filter: ['!', ['has', 'point_count']],
      layout: {
        'icon-image': ['match', ['get', 'look'], 'silent', 'dot-silent', 'unverifiable', 'dot-unverifiable', ['case', ['get', 'hollow'], 'dot-hollow', 'dot']],
        'icon-size': scale, 'icon-allow-overlap': true, 'icon-ignore-placement': true,
      } },
    { id: 'alerting', type: 'circle', source: 'alerting',
      paint: { 'circle-radius': ['*', scale, ['case', ['get', 'selected'], 8, 6.5]], 'circle-color': ['case', ['get', 'hollow'], p.ground, looks(p)], 'circle-stroke-color': ['case', ['get', 'selected'], p.clusterText, looks(p)], 'circle-stroke-width': 2.2 * scale } },
    { id: 'marks', type: 'circle', source: 'marks',
      paint: { 'circle-radius': ['case', ['get', 'selected'], 7, ['get', 'small'], 2.2, 4.5], 'circle-color': ['case', ['get', 'hollow'], p.ground, tones(p)], 'circle-stroke-color': ['case', ['get', 'selected'], p.clusterText, tones(p)], 'circle-stroke-width': ['case', ['get', 'small'], 1, 2] } },
  ];
}
