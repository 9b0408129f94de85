// GCJ-02, the datum of map vendors in China, to WGS-84.

const A = 6378245.0; // Krasovsky 1940, the ellipsoid GCJ-02 is defined on
const EE = 0.00669342162296594323;
const { PI, sin, cos, sqrt, abs } = Math;

function shift(lon, lat) {
  const x = lon - 105, y = lat - 35;
  let dLat = -100 + 2 * x + 3 * y + 0.2 * y * y + 0.1 * x * y + 0.2 * sqrt(abs(x));
  dLat += ((20 * sin(6 * x * PI) + 20 * sin(2 * x * PI)) * 2) / 3;
  dLat += ((20 * sin(y * PI) + 40 * sin((y / 3) * PI)) * 2) / 3;
  dLat += ((160 * sin((y / 12) * PI) + 320 * sin((y * PI) / 30)) * 2) / 3;
  let dLon = 300 + x + 2 * y + 0.1 * x * x + 0.1 * x * y + 0.1 * sqrt(abs(x));
  dLon += ((20 * sin(6 * x * PI) + 20 * sin(2 * x * PI)) * 2) / 3;
  dLon += ((20 * sin(x * PI) + 40 * sin((x / 3) * PI)) * 2) / 3;
  dLon += ((150 * sin((x / 12) * PI) + 300 * sin((x / 30) * PI)) * 2) / 3;
  const rad = (lat / 180) * PI;
  const m = 1 - EE * sin(rad) ** 2;
  return [
    (dLon * 180) / ((A / sqrt(m)) * cos(rad) * PI),
    (dLat * 180) / (((A * (1 - EE)) / (m * sqrt(m))) * PI),
  ];
}

/** The GCJ-02 position of a WGS-84 one. */
export function toGCJ([lon, lat]) {
  const [dLon, dLat] = shift(lon, lat);
  return [lon + dLon, lat + dLat];
}

/** The WGS-84 position of a GCJ-02 one: the forward shift has no closed inverse, so it is iterated until it is within 1e-10°. */
export function toWGS([lon, lat]) {
  let p = [lon, lat];
  for (let i = 0; i < 30; i++) {
    const g = toGCJ(p);
    const d = [lon - g[0], lat - g[1]];
    p = [p[0] + d[0], p[1] + d[1]];
    if (abs(d[0]) < 1e-10 && abs(d[1]) < 1e-10) return p;
  }
  throw new Error(`no WGS-84 position found for ${lon}, ${lat}`);
}
