//! The platform's regions (documented), by AWS name and by domain.

/// AWS region, domain.
pub const REGIONS: [(&str, &str); 18] = [
    ("us_east_1", "mypurecloud.com"),
    ("us_east_2", "use2.us-gov-pure.cloud"),
    ("us_west_2", "usw2.pure.cloud"),
    ("ca_central_1", "cac1.pure.cloud"),
    ("mx_central_1", "mxc1.pure.cloud"),
    ("sa_east_1", "sae1.pure.cloud"),
    ("eu_west_1", "mypurecloud.ie"),
    ("eu_west_2", "euw2.pure.cloud"),
    ("eu_central_1", "mypurecloud.de"),
    ("eu_central_2", "euc2.pure.cloud"),
    ("eusc_de_east_1", "edee1.eusc-pure.cloud"),
    ("me_central_1", "mec1.pure.cloud"),
    ("ap_south_1", "aps1.pure.cloud"),
    ("ap_southeast_1", "apse1.pure.cloud"),
    ("ap_southeast_2", "mypurecloud.com.au"),
    ("ap_northeast_1", "mypurecloud.jp"),
    ("ap_northeast_2", "apne2.pure.cloud"),
    ("ap_northeast_3", "apne3.pure.cloud"),
];

/// The domain of a region given by either name; hyphens serve as well as underscores.
#[must_use]
pub fn domain_of(region: &str) -> Option<&'static str> {
    let name = region.to_ascii_lowercase();
    let aws = name.replace('-', "_");
    REGIONS
        .iter()
        .find(|(known, domain)| *known == aws || *domain == name)
        .map(|(_, domain)| *domain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_region_is_found_by_either_name() {
        assert_eq!(domain_of("eu-central-1"), Some("mypurecloud.de"));
        assert_eq!(domain_of("eusc_de_east_1"), Some("edee1.eusc-pure.cloud"));
        assert_eq!(domain_of("mypurecloud.com.au"), Some("mypurecloud.com.au"));
        assert_eq!(domain_of("eu_north_9"), None);
    }
}
