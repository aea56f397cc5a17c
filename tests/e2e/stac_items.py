"""Items like those of Harmonized Landsat Sentinel, made up."""

import datetime
import random

BANDS = {"L30": ["B01", "B02", "B03", "Fmask"], "S30": ["B01", "B02", "B8A", "Fmask"]}


def make_item(sensor, when, west, south, serial=0, **properties):
    """One item that begins at `when` (a datetime), one degree wide."""
    name = f"HLS.{sensor}.T{serial % 60 + 1:02}ABC.{when:%Y%jT%H%M%S}{serial:04}.v2.0"
    time = when.strftime("%Y-%m-%dT%H:%M:%S.%f") + "Z"
    ring = [[west, south], [west + 1, south], [west + 1, south + 1], [west, south + 1], [west, south]]
    assets = {band: {"href": f"https://example.org/{name}.{band}.tif", "type": "image/tiff; application=geotiff; profile=cloud-optimized",
                     "roles": ["data"], "eo:bands": [{"name": band, "center_wavelength": 0.44}]} for band in BANDS[sensor]}
    assets["thumbnail"] = {"href": f"https://example.org/{name}.jpg", "type": "image/jpeg", "roles": ["thumbnail"]}
    return {
        "type": "Feature", "stac_version": "1.0.0", "id": name,
        "properties": {"datetime": time, "start_datetime": time, "end_datetime": time, "platform": "landsat-8" if sensor == "L30" else "sentinel-2b",
                       "instruments": ["oli" if sensor == "L30" else "msi"], "eo:cloud_cover": float(serial % 100),
                       "proj:transform": [30.0, 0.0, 499980.0, 0.0, -30.0, 8000040.0, 0.0, 0.0, 1.0], "proj:shape": [3660, 3660], "proj:epsg": 32601,
                       "view:sun_azimuth": 187.71039035, "view:azimuth": 296.0704673, "sci:doi": f"10.5067/HLS/HLS{sensor}.002", **properties},
        "geometry": {"type": "MultiPolygon", "coordinates": [[ring]]}, "bbox": [west, south, west + 1, south + 1],
        "links": [{"rel": "self", "href": f"https://example.org/{name}_stac.json", "type": "application/json"},
                  {"rel": "cite-as", "href": f"https://doi.org/10.5067/HLS/HLS{sensor}.002"}],
        "assets": assets,
        "stac_extensions": ["https://stac-extensions.github.io/eo/v1.0.0/schema.json"]}


def make_month(year, month, count, seed):
    """Items spread over a month, with some at its edges and at those of days."""
    rng = random.Random(seed)
    begin = datetime.datetime(year, month, 1)
    end = datetime.datetime(year + month // 12, month % 12 + 1, 1)
    microsecond = datetime.timedelta(microseconds=1)
    edges = [begin, end - microsecond, begin + datetime.timedelta(days=1), begin + datetime.timedelta(days=2) - microsecond,
             begin + datetime.timedelta(days=3, hours=23, minutes=59, seconds=59, milliseconds=500)]
    times = (edges + [begin + (end - begin) * rng.random() for _ in range(count)])[:count]
    return [make_item(rng.choice(["L30", "S30"]), when, rng.randrange(-180, 180), rng.randrange(-80, 80), serial) for serial, when in enumerate(times)]
