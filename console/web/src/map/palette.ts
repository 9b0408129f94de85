// Colours of the map: a muted ground, one hue for outlines, colour for alerts alone.

import type { Look } from './scene';

export interface Palette {
  ground: string;
  county: string;
  countyLine: string;
  countyText: string;
  home: string;
  homeLine: string;
  zoneLine: string;
  zoneFill: string;
  zoneText: string;
  office: string;
  officeText: string;
  halo: string;
  cluster: string;
  clusterText: string;
  track: string;
  circle: string;
  tone: Record<'plain' | 'out' | 'in' | 'unsure' | 'doubtful', string>;
  look: Record<Look, string>;
}

export const dark: Palette = {
  ground: '#0b1015',
  county: '#10171e',
  countyLine: '#26323d',
  countyText: '#5d6f80',
  home: '#16212b',
  homeLine: '#5f8f92',
  zoneLine: '#5f8f92',
  zoneFill: '#5f8f92',
  zoneText: '#8fb3b5',
  office: '#8aa0b4',
  officeText: '#a9bccd',
  halo: '#0b1015',
  cluster: '#2b3b4a',
  clusterText: '#dbe6ef',
  track: '#8fb8ff',
  circle: '#8fb8ff',
  tone: { plain: '#a9c4e6', out: '#ff7a6e', in: '#74c7a5', unsure: '#c9b27c', doubtful: '#7d8b99' },
  look: { ok: '#c3d2df', out: '#c3d2df', silent: '#7d8b99', unverifiable: '#98a6b3', alarm: '#ff5f57', reminder: '#f2ae3d', lead: '#5ea7f7', handled: '#9fb0c0' },
};

export const light: Palette = {
  ground: '#eef1f4',
  county: '#f7f8fa',
  countyLine: '#d5dce3',
  countyText: '#8795a3',
  home: '#ffffff',
  homeLine: '#3f8184',
  zoneLine: '#3f8184',
  zoneFill: '#3f8184',
  zoneText: '#2d6669',
  office: '#5b6d7e',
  officeText: '#46586a',
  halo: '#ffffff',
  cluster: '#dfe6ec',
  clusterText: '#25323f',
  track: '#2f6fd0',
  circle: '#2f6fd0',
  tone: { plain: '#2f6fd0', out: '#c8322a', in: '#24805c', unsure: '#8a6a1f', doubtful: '#8795a3' },
  look: { ok: '#4a5b6b', out: '#4a5b6b', silent: '#93a1ae', unverifiable: '#7d8b99', alarm: '#c8322a', reminder: '#a86a00', lead: '#1f66c2', handled: '#8795a3' },
};

export const palette = (isDark: boolean): Palette => (isDark ? dark : light);
