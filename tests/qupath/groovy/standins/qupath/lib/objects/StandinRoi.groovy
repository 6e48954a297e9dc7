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

    List<StandinPoint> getAllPoints() {
        return (geometry.type == 'Point' ? [geometry.coordinates] : geometry.coordinates)
            .collect { new StandinPoint(x: it[0], y: it[1]) }
    }

    double getBoundsX() {
        return edge(0)
    }

    double getBoundsY() {
        return edge(1)
    }

    double getBoundsWidth() {
        return extent(0)
    }

    double getBoundsHeight() {
        return extent(1)
    }

    /** By the box around it, as of the regions of the tests. */
    boolean contains(double x, double y) {
        return !isPoint() && x >= edge(0) && x <= edge(0) + extent(0) && y >= edge(1) && y <= edge(1) + extent(1)
    }

    double getCentroidX() {
        return centroid()[0]
    }

    double getCentroidY() {
        return centroid()[1]
    }

    private double edge(int axis) {
        return places()*.get(axis).min()
    }

    private double extent(int axis) {
        return places()*.get(axis).max() - edge(axis)
    }

    private List<List> places() {
        return geometry.type == 'Point' ? [geometry.coordinates] :
            geometry.type == 'MultiPoint' ? geometry.coordinates : geometry.coordinates[0]
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
