//! The properties udev gets: names that a device keeps wherever it appears.

/// A unit that the daemon takes: one line of its table, fields separated by tabs.
pub struct Unit<'table> {
    pub identity: &'table str,
    pub name: &'table str,
    vendor: &'table str,
    product: &'table str,
    /// The identity by which an earlier version knew it.
    former: &'table str,
    /// Names of its block devices of which the kernel does not tell whose they are.
    devices: &'table str,
}

impl Unit<'_> {
    /// Finds the unit with an identity, present or former, in the daemon's table.
    pub fn find<'table>(table: &'table str, identity: &str) -> Option<Unit<'table>> {
        units(table).find(|unit| !identity.is_empty() && (unit.identity == identity || unit.former == identity))
    }

    /// Finds the unit to which a block device belongs.
    pub fn with_device<'table>(table: &'table str, device: &str) -> Option<Unit<'table>> {
        units(table).find(|unit| unit.devices.split(' ').any(|name| name == device))
    }
}

fn units(table: &str) -> impl Iterator<Item = Unit<'_>> {
    table.lines().filter(|line| !line.starts_with('#')).map(|line| {
        let mut fields = line.split('\t');
        let mut field = || fields.next().unwrap_or("");
        let (identity, name, vendor, product) = (field(), field(), field(), field());
        Unit { identity, name, vendor, product, former: field(), devices: field() }
    })
}

/// What a path shows: whose it is, and nothing by which it could be found instead of the unit.
pub fn of_path(unit: &Unit) -> Vec<(&'static str, String)> {
    vec![("PATHMANAGER_PATH", unit.identity.to_string())]
}

/// What a unit's block device shows: the names a disk of the same unit would have.
pub fn of_device(identity: &str, unit: Option<&Unit>) -> Vec<(&'static str, String)> {
    let mut found = vec![("PATHMANAGER_UNIT", identity.to_string())];
    if let Some(unit) = unit {
        found.push(("PATHMANAGER_NAME", unit.name.to_string()));
        found.push(("ID_VENDOR", underscored(unit.vendor)));
        found.push(("ID_MODEL", underscored(unit.product)));
    }
    let Some(wwid) = wwid_of(identity) else { return found };
    found.push(("ID_SERIAL_SHORT", wwid[1..].to_string()));
    found.push(("ID_SERIAL", wwid));
    if let Some(digits) = identity.strip_prefix("naa.").filter(|digits| digits.len() >= 16) {
        found.push(("ID_WWN", format!("0x{}", &digits[..16])));
        found.push(("ID_WWN_WITH_EXTENSION", format!("0x{digits}")));
        if digits.len() > 16 {
            found.push(("ID_WWN_VENDOR_EXTENSION", format!("0x{}", &digits[16..])));
        }
    }
    found
}

/// The name scsi_id gives the unit (host/discovery/wwid.ts).
fn wwid_of(identity: &str) -> Option<String> {
    let (kind, rest) = identity.split_once('.')?;
    Some(match kind {
        "naa" => format!("3{rest}"),
        "eui" => format!("2{rest}"),
        "t10" => format!("1{}", underscored(rest)),
        "iqn" => format!("8{}", underscored(identity)),
        "name" => format!("8{}", underscored(rest)),
        "serial" => {
            let (vendor, rest) = rest.split_once(':')?;
            let (product, serial) = rest.rsplit_once(':')?;
            underscored(&format!("S{vendor:<8}{product:<16}{serial}"))
        }
        _ => return None,
    })
}

/// Blanks separate words in udev's rules.
fn underscored(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join("_")
}
