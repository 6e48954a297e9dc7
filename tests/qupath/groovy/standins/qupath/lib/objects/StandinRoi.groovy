package qupath.lib.objects

/** Stand-in after QuPath's ROI, around a GeoJSON geometry. */
class StandinRoi {
    final Map geometry

    StandinRoi(Map geometry) {
        this.geometry = geometry
    }

    boolean isPoint() {
        return geometry.type in ['Point', 'MultiPoint']
    }

    int getNumPoints() {
        return geometry.type == 'Point' ? 1 : geometry.coordinates.size()
    }

    double getBoundsWidth() {
        return extent(0)
    }

    double getBoundsHeight() {
        return extent(1)
    }

    double getCentroidX() {
        return centroid()[0]
    }

    double getCentroidY() {
        return centroid()[1]
    }

    private double extent(int axis) {
        def points = geometry.type == 'Point' ? [geometry.coordinates] :
            geometry.type == 'MultiPoint' ? geometry.coordinates : geometry.coordinates[0]
        return points.collect { it[axis] }.max() - points.collect { it[axis] }.min()
    }

    private List<Double> centroid() {
        if (geometry.type == 'Point')
            return geometry.coordinates
        if (geometry.type == 'MultiPoint')
            return [0, 1].collect { axis -> geometry.coordinates.sum { it[axis] } / geometry.coordinates.size() }
        def ring = geometry.coordinates[0]
        double area = 0, x = 0, y = 0
        for (int i = 0; i + 1 < ring.size(); i++) {
            double cross = ring[i][0] * ring[i + 1][1] - ring[i + 1][0] * ring[i][1]
            area += cross
            x += (ring[i][0] + ring[i + 1][0]) * cross
            y += (ring[i][1] + ring[i + 1][1]) * cross
        }
        return [x / (3 * area), y / (3 * area)]
    }
}
