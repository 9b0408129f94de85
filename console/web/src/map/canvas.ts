// The map on a plain canvas, where the browser has no WebGL: outlines, zones, tracks and dots, moved and zoomed.

import { circle, rings, type Bounds, type LonLat } from '@/lib/geo';
import { palette } from './palette';
import { emptyScene, FONT, type Camera, type County, type MapEvents, type MapView, type Scene } from './scene';

const RAD = Math.PI / 180;
const mercator = (lat: number) => Math.log(Math.tan(Math.PI / 4 + (lat * RAD) / 2)) / RAD;
const unmercator = (y: number) => (2 * Math.atan(Math.exp(y * RAD)) - Math.PI / 2) / RAD;
const ALERTING = new Set(['alarm', 'reminder', 'lead', 'handled']);

export class CanvasView implements MapView {
  private readonly canvas = document.createElement('canvas');
  private readonly g: CanvasRenderingContext2D;
  private readonly scene: Scene = emptyScene();
  private view: Camera;
  private frame = 0;
  private readonly off = new AbortController();

  constructor(
    private readonly box: HTMLElement,
    private readonly counties: County[],
    private readonly home: string | null,
    start: Camera,
    private isDark: boolean,
    private readonly scale: number,
    private readonly on: MapEvents,
  ) {
    this.view = { ...start };
    this.g = this.canvas.getContext('2d')!;
    this.canvas.className = 'map-canvas';
    box.append(this.canvas);
    this.listen();
    this.resize();
  }

  private listen(): void {
    const signal = this.off.signal;
    let from: { x: number; y: number; view: Camera; far: boolean } | null = null;
    this.canvas.addEventListener('pointerdown', (e) => {
      this.canvas.setPointerCapture(e.pointerId);
      from = { x: e.offsetX, y: e.offsetY, view: { ...this.view }, far: false };
    }, { signal });
    this.canvas.addEventListener('pointermove', (e) => {
      if (!from) return;
      const dx = e.offsetX - from.x, dy = e.offsetY - from.y;
      if (Math.hypot(dx, dy) > 4) from.far = true;
      if (!from.far) return;
      const k = this.pixels();
      const [lon, lat] = from.view.centre;
      this.move({ centre: [lon - dx / k, unmercator(mercator(lat) + dy / k)], zoom: from.view.zoom });
    }, { signal });
    this.canvas.addEventListener('pointerup', (e) => {
      if (from && !from.far) this.click(e.offsetX, e.offsetY);
      from = null;
    }, { signal });
    this.canvas.addEventListener('wheel', (e) => {
      e.preventDefault();
      this.move({ centre: this.view.centre, zoom: Math.max(6, Math.min(18, this.view.zoom - e.deltaY / 400)) });
    }, { signal, passive: false });
  }

  /** Pixels a degree of longitude. */
  private pixels(): number {
    return (512 * 2 ** this.view.zoom) / 360;
  }

  private move(c: Camera): void {
    this.view = c;
    this.redraw();
    this.on.moved();
  }

  private click(x: number, y: number): void {
    const near = (at: LonLat) => {
      const [px, py] = this.project(at);
      return Math.hypot(px - x, py - y);
    };
    const best = [
      ...this.scene.marks.map((m) => ({ d: near(m.at), pick: { kind: 'mark' as const, id: m.key } })),
      ...this.scene.dots.map((m) => ({ d: near(m.at), pick: { kind: 'dot' as const, id: m.id } })),
    ].sort((a, b) => a.d - b.d)[0];
    this.on.picked(best && best.d < 12 ? best.pick : null);
  }

  set(part: Partial<Scene>): void {
    Object.assign(this.scene, part);
    this.redraw();
  }

  theme(isDark: boolean): void {
    this.isDark = isDark;
    this.redraw();
  }

  camera(): Camera {
    return { ...this.view };
  }

  go(c: Camera): void {
    this.move(c);
  }

  fit(b: Bounds, padding: number, maxZoom = 15): void {
    const w = Math.max(50, this.box.clientWidth - 2 * padding), h = Math.max(50, this.box.clientHeight - 2 * padding);
    const dx = Math.max(1e-6, b[2] - b[0]), dy = Math.max(1e-6, mercator(b[3]) - mercator(b[1]));
    const zoom = Math.min(maxZoom, Math.log2((Math.min(w / dx, h / dy) * 360) / 512));
    this.move({ centre: [(b[0] + b[2]) / 2, unmercator((mercator(b[1]) + mercator(b[3])) / 2)], zoom });
  }

  project(at: LonLat): [number, number] {
    const k = this.pixels();
    return [
      this.box.clientWidth / 2 + (at[0] - this.view.centre[0]) * k,
      this.box.clientHeight / 2 - (mercator(at[1]) - mercator(this.view.centre[1])) * k,
    ];
  }

  resize(): void {
    const r = window.devicePixelRatio || 1;
    this.canvas.width = this.box.clientWidth * r;
    this.canvas.height = this.box.clientHeight * r;
    this.redraw();
    this.on.moved();
  }

  destroy(): void {
    cancelAnimationFrame(this.frame);
    this.off.abort();
    this.canvas.remove();
  }

  private redraw(): void {
    if (!this.frame) this.frame = requestAnimationFrame(() => this.draw());
  }

  private path(lines: LonLat[][]): void {
    this.g.beginPath();
    for (const line of lines) {
      line.forEach((at, i) => {
        const [x, y] = this.project(at);
        if (i === 0) this.g.moveTo(x, y);
        else this.g.lineTo(x, y);
      });
    }
  }

  private dot(at: LonLat, radius: number, color: string, hollow: boolean, ring?: string): void {
    const [x, y] = this.project(at);
    this.g.beginPath();
    this.g.arc(x, y, radius, 0, 2 * Math.PI);
    this.g.fillStyle = hollow ? palette(this.isDark).ground : color;
    this.g.fill();
    this.g.strokeStyle = ring ?? color;
    this.g.lineWidth = 1.8;
    this.g.stroke();
  }

  private draw(): void {
    this.frame = 0;
    const g = this.g, r = window.devicePixelRatio || 1, p = palette(this.isDark);
    g.setTransform(r, 0, 0, r, 0, 0);
    g.fillStyle = p.ground;
    g.fillRect(0, 0, this.canvas.width, this.canvas.height);
    this.drawBase(p);
    this.path(this.scene.lines.filter((l) => l.length > 1));
    g.strokeStyle = p.track;
    g.lineWidth = 1.8;
    g.stroke();
    this.drawMarks(p);
    for (const d of [...this.scene.dots].sort((a, b) => Number(ALERTING.has(a.look)) - Number(ALERTING.has(b.look)))) {
      const big = ALERTING.has(d.look) || d.id === this.scene.selected;
      this.dot(d.at, (big ? 6.5 : 2.8) * this.scale, p.look[d.look], d.hollow || d.look === 'silent', d.id === this.scene.selected ? p.clusterText : undefined);
    }
  }

  private drawBase(p: ReturnType<typeof palette>): void {
    const g = this.g;
    for (const pass of [false, true]) {
      this.path(this.counties.filter((c) => (c.id === this.home) === pass).flatMap((c) => c.rings));
      g.fillStyle = pass ? p.home : p.county;
      g.fill('evenodd');
      g.strokeStyle = pass ? p.homeLine : p.countyLine;
      g.lineWidth = pass ? 1.6 : 1;
      g.stroke();
    }
    for (const z of this.scene.zones) {
      this.path(rings(z.geometry));
      g.strokeStyle = p.zoneLine;
      g.lineWidth = z.purpose === 'prohibited' ? 2.4 : 1.8;
      g.setLineDash(z.purpose === 'prohibited' ? [6, 3] : []);
      g.stroke();
      g.setLineDash([]);
    }
    g.font = `${15 * this.scale}px ${FONT}`;
    g.textBaseline = 'middle';
    for (const o of this.scene.offices) {
      if (o.lon === null || o.lat === null) continue;
      const [x, y] = this.project([o.lon, o.lat]);
      g.strokeStyle = p.office;
      g.lineWidth = 1.5;
      g.strokeRect(x - 3, y - 3, 6, 6);
      g.fillStyle = p.officeText;
      g.fillText(o.short_name, x + 9, y);
    }
  }

  private drawMarks(p: ReturnType<typeof palette>): void {
    const g = this.g;
    const round = [
      ...this.scene.marks.filter((m) => m.accuracy > 0).map((m) => ({ at: m.at, radius: m.accuracy, color: p.tone[m.tone], strong: m.selected })),
      ...(this.scene.focus && this.scene.focus.accuracy > 0 ? [{ at: this.scene.focus.at, radius: this.scene.focus.accuracy, color: p.circle, strong: true }] : []),
    ];
    for (const c of round) {
      this.path([circle(c.at, c.radius)]);
      g.globalAlpha = c.strong ? 0.25 : 0.08;
      g.fillStyle = c.color;
      g.fill();
      g.globalAlpha = c.strong ? 0.9 : 0.4;
      g.strokeStyle = c.color;
      g.lineWidth = 1.2;
      g.stroke();
      g.globalAlpha = 1;
    }
    for (const m of this.scene.marks) this.dot(m.at, m.selected ? 7 : m.small ? 2.5 : 4.5, p.tone[m.tone], m.hollow, m.selected ? p.clusterText : undefined);
  }
}
