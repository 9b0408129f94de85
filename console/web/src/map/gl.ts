// The map by MapLibre, where the browser has WebGL.

import { Map as GlMap, setWorkerUrl, type GeoJSONSource, type Point, type StyleSpecification } from 'maplibre-gl';
import 'maplibre-gl/dist/maplibre-gl.css';
import workerUrl from './worker?worker&url';
import type { Bounds, LonLat } from '@/lib/geo';
import { icons } from './icons';
import { countyData, layers, sceneData, sources, type SourceName } from './layers';
import { palette } from './palette';
import { emptyScene, FONT, MOVE_MS, type Camera, type County, type MapEvents, type MapView, type Scene } from './scene';

setWorkerUrl(workerUrl);

export class GlView implements MapView {
  private readonly map: GlMap;
  private readonly scene = emptyScene();
  private ready = false;
  private readonly pending: Partial<Scene> = {};

  constructor(
    box: HTMLElement,
    private readonly counties: County[],
    private readonly home: string | null,
    start: Camera,
    private isDark: boolean,
    private readonly scale: number,
    private readonly on: MapEvents,
  ) {
    this.map = new GlMap({
      container: box,
      style: this.style(),
      center: start.centre,
      zoom: start.zoom,
      minZoom: 6,
      maxZoom: 18,
      attributionControl: false,
      dragRotate: false,
      pitchWithRotate: false,
      touchPitch: false,
      fadeDuration: 0,
      localIdeographFontFamily: FONT,
      renderWorldCopies: false,
    });
    this.map.touchZoomRotate.disableRotation();
    this.map.keyboard.disable(); // arrows belong to the queue
    this.map.on('move', () => on.moved());
    this.map.on('resize', () => on.moved());
    this.map.on('style.load', () => this.loaded());
    this.map.on('click', (e) => this.click(e.point));
    this.map.on('mousemove', (e) => {
      this.map.getCanvas().style.cursor = this.hit(e.point) ? 'pointer' : '';
    });
  }

  private style(): StyleSpecification {
    return { version: 8, sources: sources(), layers: layers(palette(this.isDark), this.scale) } as StyleSpecification;
  }

  private loaded(): void {
    for (const [name, { image, pixelRatio }] of Object.entries(icons(palette(this.isDark)))) {
      if (this.map.hasImage(name)) this.map.removeImage(name);
      this.map.addImage(name, image, { pixelRatio });
    }
    this.ready = true;
    const c = countyData(this.counties, this.counties.find((x) => x.id === this.home) ?? null);
    this.data('counties', c.counties);
    this.data('names', c.names);
    this.push({ ...this.scene, ...this.pending });
    this.on.moved();
  }

  private data(name: SourceName, data: GeoJSON.FeatureCollection): void {
    void (this.map.getSource(name) as GeoJSONSource | undefined)?.setData(data);
  }

  private push(part: Partial<Scene>): void {
    for (const [name, data] of Object.entries(sceneData(part, this.scene))) this.data(name as SourceName, data);
  }

  set(part: Partial<Scene>): void {
    Object.assign(this.scene, part);
    if (this.ready) this.push(part);
  }

  theme(isDark: boolean): void {
    if (isDark === this.isDark) return;
    this.isDark = isDark;
    this.ready = false;
    this.map.setStyle(this.style(), { diff: false });
  }

  private hit(p: Point) {
    if (!this.ready) return undefined;
    const near: [[number, number], [number, number]] = [[p.x - 6, p.y - 6], [p.x + 6, p.y + 6]];
    return this.map.queryRenderedFeatures(near, { layers: ['marks', 'alerting', 'dots', 'clusters'] })[0];
  }

  private click(p: Point): void {
    const f = this.hit(p);
    if (!f) return this.on.picked(null);
    if (f.layer.id === 'clusters') {
      const centre = (f.geometry as GeoJSON.Point).coordinates as LonLat;
      return this.go({ centre, zoom: Math.min(this.map.getZoom() + 1.6, 12) });
    }
    if (f.layer.id === 'marks') this.on.picked({ kind: 'mark', id: Number(f.properties.key) });
    else this.on.picked({ kind: 'dot', id: Number(f.properties.id) });
  }

  camera(): Camera {
    const c = this.map.getCenter();
    return { centre: [c.lng, c.lat], zoom: this.map.getZoom() };
  }

  go(c: Camera): void {
    this.map.easeTo({ center: c.centre, zoom: c.zoom, duration: MOVE_MS });
  }

  fit(b: Bounds, padding: number, maxZoom = 15): void {
    this.map.fitBounds(b, { padding, maxZoom, duration: MOVE_MS });
  }

  project(at: LonLat): [number, number] {
    const p = this.map.project(at);
    return [p.x, p.y];
  }

  resize(): void {
    this.map.resize();
  }

  destroy(): void {
    this.map.remove();
  }
}
