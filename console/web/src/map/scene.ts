// What is drawn on a map, whatever draws it.

import type { Org, Zone } from '@/api/types';
import type { Bounds, LonLat } from '@/lib/geo';

/** How a subject looks: quiet unless an alert is open about them. */
export type Look = 'ok' | 'silent' | 'unverifiable' | 'out' | 'alarm' | 'reminder' | 'lead' | 'handled';

export interface Dot {
  id: number;
  at: LonLat;
  look: Look;
  hollow: boolean; // not a satellite fix
}

/** One fix of a track or of evidence, with its circle of accuracy. */
export interface Mark {
  key: number;
  at: LonLat;
  hollow: boolean;
  accuracy: number; // metres, 0 unknown
  tone: 'plain' | 'out' | 'in' | 'unsure' | 'doubtful';
  selected: boolean;
  small?: boolean; // one of many
}

export interface County {
  id: string;
  name: string;
  rings: LonLat[][];
  centre: LonLat;
}

export interface Scene {
  zones: Zone[];
  offices: Org[];
  dots: Dot[];
  lines: LonLat[][]; // pieces of a track: joined inside, never between
  marks: Mark[];
  selected: number | null; // dot
  focus: { at: LonLat; accuracy: number } | null; // circle of the selected dot
}

export const emptyScene = (): Scene => ({ zones: [], offices: [], dots: [], lines: [], marks: [], selected: null, focus: null });

export interface Camera {
  centre: LonLat;
  zoom: number; // as MapLibre counts it: the world is 512 × 2^zoom pixels wide
}

export interface Pick {
  kind: 'dot' | 'mark';
  id: number;
}

/** A drawn map. It animates only what moves the camera, and never longer than 180 ms. */
export interface MapView {
  set(part: Partial<Scene>): void;
  theme(dark: boolean): void;
  camera(): Camera;
  go(camera: Camera): void;
  fit(b: Bounds, padding: number, maxZoom?: number): void;
  project(at: LonLat): [number, number];
  resize(): void;
  destroy(): void;
}

export interface MapEvents {
  moved(): void; // the camera, also while it moves
  picked(p: Pick | null): void;
}

export const MOVE_MS = 180;
export const FONT = '"Noto Sans SC", "Noto Sans CJK SC", "Source Han Sans SC", "PingFang SC", "Microsoft YaHei", sans-serif';
