// The small signs of the map, drawn once a theme. Shapes differ, not only colours.

import type { Palette } from './palette';

const RATIO = 2; // pixels of a picture for one on the map at scale 1

function draw(size: number, paint: (g: CanvasRenderingContext2D, n: number) => void): ImageData {
  const c = document.createElement('canvas');
  c.width = c.height = size * RATIO;
  const g = c.getContext('2d')!;
  g.scale(RATIO, RATIO);
  paint(g, size);
  return g.getImageData(0, 0, c.width, c.height);
}

function disc(g: CanvasRenderingContext2D, n: number, r: number, fill: string, stroke: string): void {
  g.beginPath();
  g.arc(n / 2, n / 2, r, 0, 2 * Math.PI);
  g.fillStyle = fill;
  g.fill();
  g.strokeStyle = stroke;
  g.lineWidth = 1.5;
  g.stroke();
}

/** Diagonals over the square; whoever wants them in a shape clips first. */
function diagonals(g: CanvasRenderingContext2D, n: number, every: number, width: number, color: string): void {
  g.strokeStyle = color;
  g.lineWidth = width;
  for (let d = -n; d <= n; d += every) {
    g.beginPath();
    g.moveTo(d, n);
    g.lineTo(d + n, 0);
    g.stroke();
  }
}

export function icons(p: Palette): Record<string, { image: ImageData; pixelRatio: number }> {
  const dot = (paint: (g: CanvasRenderingContext2D, n: number) => void) => ({ image: draw(12, paint), pixelRatio: RATIO });
  return {
    dot: dot((g, n) => disc(g, n, 3.4, p.look.ok, p.halo)),
    'dot-hollow': dot((g, n) => disc(g, n, 3.4, p.ground, p.look.ok)),
    'dot-silent': dot((g, n) => {
      disc(g, n, 3.4, p.ground, p.look.silent);
      g.beginPath();
      g.moveTo(2, n - 2);
      g.lineTo(n - 2, 2);
      g.stroke();
    }),
    'dot-unverifiable': dot((g, n) => {
      g.save();
      g.beginPath();
      g.arc(n / 2, n / 2, 4, 0, 2 * Math.PI);
      g.fillStyle = p.ground;
      g.fill();
      g.clip();
      diagonals(g, n, 3, 1.3, p.look.unverifiable);
      g.restore();
    }),
    office: { image: draw(10, (g, n) => {
      g.strokeStyle = p.office;
      g.lineWidth = 1.5;
      g.strokeRect(1.5, 1.5, n - 3, n - 3);
    }), pixelRatio: RATIO },
    // Prohibited places: a pattern that tiles.
    hatch: { image: draw(8, (g, n) => {
      g.globalAlpha = 0.7;
      diagonals(g, n, n, 1, p.zoneLine);
      g.beginPath();
      g.moveTo(-1, 1);
      g.lineTo(1, -1);
      g.moveTo(n - 1, n + 1);
      g.lineTo(n + 1, n - 1);
      g.stroke();
    }), pixelRatio: RATIO },
  };
}
