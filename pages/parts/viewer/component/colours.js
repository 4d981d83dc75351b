// Colour maps for values in 0-1, and the categorical palette. All are safe for colour-blind readers: lightness alone
// carries the order of the maps.

const MAPS = {
  red: ["#fff7ec", "#fc8d59", "#7f0000"],
  viridis: ["#440154", "#46327e", "#365c8d", "#277f8e", "#1fa187", "#4ac16d", "#a0da39", "#fde725"],
  attention: ["#f7fcfd", "#8c96c6", "#4d004b"], // not offered for probabilities: the two must never look alike
  cividis: ["#00224e", "#2a3f6d", "#575d6d", "#7d7c78", "#a59c74", "#d2c060", "#fee838"],
}

export const MAP_NAMES = { red: "Red (suspicious)", viridis: "Viridis", cividis: "Cividis" }

/** [r, g, b] of a colour written as #rrggbb. */
export function rgb(hex) {
  return [1, 3, 5].map(at => Number.parseInt(hex.slice(at, at + 2), 16))
}

const tables = new Map()

/** 256 [r, g, b] entries, linear between the stops. */
export function table(name) {
  if (!tables.has(name)) {
    const stops = (MAPS[name] ?? MAPS.red).map(rgb)
    tables.set(
      name,
      Array.from({ length: 256 }, (_, i) => {
        const place = (i / 255) * (stops.length - 1)
        const low = Math.min(Math.floor(place), stops.length - 2)
        return stops[low].map((value, channel) => Math.round(value + (stops[low + 1][channel] - value) * (place - low)))
      }),
    )
  }
  return tables.get(name)
}

export function cssGradient(name) {
  return `linear-gradient(to right, ${(MAPS[name] ?? MAPS.red).join(", ")})`
}
